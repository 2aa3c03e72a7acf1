"""What is counted in Jittor's cache while it compiles."""

import logging
import time

import pytest

from jdart.compiling.progress import Compiling, core_files, kernels, watched


@pytest.fixture
def cache(tmp_path):
    for name in ("obj_files", "gen", "jit"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_the_core_is_counted_as_it_lies_in_the_real_cache():
    """Against Jittor itself: it has compiled all that it would be said to have to compile."""
    from pathlib import Path

    import jittor_utils

    done, total = core_files(Path(jittor_utils.cache_path))
    assert total is not None and 100 < total == done


def test_the_total_is_known_once_jittor_has_generated_its_own_files(cache):
    (cache / "obj_files" / "init.cc.o").touch()
    (cache / "obj_files" / "init.cc.o.key").touch()
    assert core_files(cache) == (1, None)
    (cache / "gen" / "pyjt_all.cc").touch()
    done, one = core_files(cache)
    (cache / "gen" / "pyjt_core.cc").touch()
    assert done == 1 and core_files(cache) == (1, one + 1)


def test_what_appears_is_told_and_the_end_too(cache, caplog):
    (cache / "jit" / "old.so").touch()
    caplog.set_level(logging.INFO, "jdart.compiling.progress")
    with watched("kernels", lambda: kernels(cache), interval=0.001):
        (cache / "jit" / "one.cc").touch()
        for name in ("one", "two"):
            (cache / "jit" / f"{name}.so").touch()
        while not caplog.records:
            time.sleep(0.001)
    states = [record.compiling for record in caplog.records]
    assert [state.what for state in states] == ["kernels"] * len(states)
    assert states[-1].done == 2 and states[-1].over and not any(state.over for state in states[:-1])


def test_where_nothing_is_compiled_nothing_is_told(cache, caplog):
    caplog.set_level(logging.INFO, "jdart.compiling.progress")
    with watched("kernels", lambda: kernels(cache), interval=0.001):
        pass
    assert not caplog.records


def test_a_state_in_words():
    assert str(Compiling("Jittor's core", 40, 150, 60.0)) == (
        "compiling Jittor's core: 40 of 150 after 1 min 00 s, about 2 min 45 s left"
    )
    assert str(Compiling("kernels", 7, None, 9.4)) == "compiling kernels: 7 after 9 s"
    assert str(Compiling("kernels", 7, None, 9.4, over=True)) == "compiled kernels: 7 in 9 s"
    assert Compiling("x", 0, 10, 5.0).left is None
    assert Compiling("x", 12, 10, 5.0).left == 0, "more than was thought"
