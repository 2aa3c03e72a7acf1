"""The feature cache: nothing about it may ever change a figure, whatever happens to its file."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from comparing import assert_same_figures, figures
from fixture_contest import paint
from PIL import Image

from contest.errors import UserError
from evaluator import Report, score_submission
from evaluator.cli import main
from evaluator.scoring.cache import FILE, Cache, key_of


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many pictures each network sees, and how many are decoded."""
    from evaluator.backbones import clip, dinov2, inception, rn50, squeezenet
    from evaluator.scoring import viewer as extract

    seen: Counter[str] = Counter()

    def count(owner, method, name):
        original = getattr(owner, method)

        def counting(self, batch, *more):
            seen[name] += len(batch)
            return original(self, batch, *more)

        monkeypatch.setattr(owner, method, counting)

    for owner in (dinov2.DinoV2, inception.InceptionStem, squeezenet.SqueezeNet, rn50.Rn50Images, clip.ClipImages):
        count(owner, "features", owner.__name__)
    count(clip.ClipTexts, "features", "texts")
    decode = extract.decode

    def counting_decode(data):
        seen["decode"] += 1
        return decode(data)

    monkeypatch.setattr(extract, "decode", counting_decode)
    return seen


def test_a_second_run_looks_at_nothing_and_says_the_same(pack, contest, tmp_path, looks):
    def score() -> Report:
        return score_submission(
            contest / "outputs", references=contest / "references", weights=pack, cache=tmp_path, write=False
        )

    first = score()
    assert looks["ClipImages"] == 12
    looks.clear()
    second = score()
    assert looks == {}
    assert figures(second) == figures(first)


def test_one_changed_picture_is_all_that_is_looked_at(pack, references, outputs, tmp_path, looks):
    def score() -> Report:
        return score_submission(outputs, references=references, weights=pack, cache=tmp_path / "cache", write=False)

    score()
    looks.clear()
    Image.fromarray(paint(77, 256, 3)).save(outputs / "00" / "Dog.png")
    cached = score()
    once = dict.fromkeys(("DinoV2", "InceptionStem", "SqueezeNet", "Rn50Images", "ClipImages"), 1)
    assert looks == {**once, "decode": 2}  # the largest network looks by itself
    fresh = score_submission(outputs, references=references, weights=pack, cache=False, write=False)
    assert_same_figures(cached, fresh)


def test_pixels_count_and_not_files(pack, references, outputs, tmp_path, looks):
    """The same picture written anew is decoded, and known."""
    score_submission(outputs, references=references, weights=pack, cache=tmp_path / "cache", write=False)
    looks.clear()
    with Image.open(outputs / "00" / "Dog.png") as image:
        image.save(outputs / "00" / "Dog.png", compress_level=1)
    score_submission(outputs, references=references, weights=pack, cache=tmp_path / "cache", write=False)
    assert looks == {"decode": 1}


def test_another_reference_renews_only_what_compares_with_it(pack, references, outputs, tmp_path, looks):
    score_submission(outputs, references=references, weights=pack, cache=tmp_path / "cache", write=False)
    looks.clear()
    Image.fromarray(paint(78, 320, 3)).save(references / "00" / "images" / "cow.png")
    cached = score_submission(outputs, references=references, weights=pack, cache=tmp_path / "cache", write=False)
    # LPIPS sees the style's four references and six outputs again, the others only the new reference
    assert looks == {"decode": 10, "DinoV2": 1, "InceptionStem": 1, "SqueezeNet": 10}
    fresh = score_submission(outputs, references=references, weights=pack, cache=False, write=False)
    assert_same_figures(cached, fresh)


def test_other_weights_and_profiles_do_not_share_notes(pack, contest, tmp_path, looks):
    from evaluator.weights.miniature import write_miniature

    write_miniature(tmp_path / "other", seed=12)

    def score(weights: Path, profile: str) -> Report:
        return score_submission(
            contest / "outputs",
            references=contest / "references",
            weights=weights,
            profile=profile,
            cache=tmp_path / "cache",
            write=False,
        )

    finals = {score(weights, profile).scores.final for weights in (pack, tmp_path / "other")
              for profile in ("official-2024", "official-2025")}  # fmt: skip
    assert len(finals) == 4
    # what does not depend on the profile (LPIPS, CLIP-IQA) was shared between the two
    assert (looks["Rn50Images"], looks["SqueezeNet"], looks["ClipImages"]) == (24, 40, 48)


def test_damaged_entries_are_not_believed(tmp_path):
    cache = Cache(tmp_path)
    rows = {key_of("row", str(number)): {"note": np.full(40, number, np.float32)} for number in range(30)}
    cache.put_arrays("kind", rows)
    database = sqlite3.connect(tmp_path / FILE)
    keys = list(rows)
    with database:
        value = database.execute("SELECT value FROM entries WHERE key = ?", (keys[0],)).fetchone()[0]
        flipped = value[:-3] + bytes([value[-3] ^ 1]) + value[-2:]
        database.execute("UPDATE entries SET value = ? WHERE key = ?", (flipped, keys[0]))
        database.execute("UPDATE entries SET value = ? WHERE key = ?", (value, keys[1]))  # whole, but another's
        database.execute("UPDATE entries SET value = 'text' WHERE key = ?", (keys[2],))
    database.close()
    found = cache.get_arrays(keys)
    assert set(found) == set(keys[3:])
    assert all((found[key]["note"] == rows[key]["note"]).all() for key in keys[3:])
    assert cache.verify() == (30, 3)
    assert cache.verify() == (27, 0)


@pytest.mark.parametrize("seed", range(4))
def test_random_damage_to_the_file_never_changes_a_figure(pack, contest, report, tmp_path, seed, caplog):
    def score() -> Report:
        return score_submission(
            contest / "outputs", references=contest / "references", weights=pack, cache=tmp_path, write=False
        )

    score()
    path = tmp_path / FILE
    data = bytearray(path.read_bytes())
    random = np.random.default_rng(seed)
    for place in random.integers(0, len(data), 400):
        data[place] = random.integers(256)
    path.write_bytes(bytes(data[: len(data) // 2]) if seed == 3 else bytes(data))
    assert_same_figures(score(), report)
    assert_same_figures(score(), report)


@pytest.mark.parametrize("content", [b"", b"not a database at all, but long enough to be read as one" * 50])
def test_a_file_that_is_no_cache_is_set_aside(tmp_path, content, caplog):
    (tmp_path / FILE).write_bytes(content)
    cache = Cache(tmp_path)
    cache.put("kind", {"key": b"value"})
    cache.put("kind", {"key": b"value"})
    assert cache.get(["key"]) == {"key": b"value"}
    aside = [path.read_bytes() for path in tmp_path.iterdir() if "damaged" in path.name]
    assert aside == ([content] if content else [])


def test_a_place_that_cannot_be_written_is_done_without(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    cache = Cache(tmp_path / "file" / "below")
    cache.put("kind", {"key": b"value"})
    assert cache.get(["key"]) == {}
    assert caplog.text.count("going on without it") == 1


def test_several_processes_and_kill_9(pack, contest, report, tmp_path):
    """Three score at once into one cache, one is killed in mid-write; what is left is whole and right."""
    code = (
        "import sys; from evaluator import score_submission\n"
        "o, r, w, c = sys.argv[1:]\n"
        "print(score_submission(o, references=r, weights=w, cache=c, write=False).scores.final)"
    )
    arguments = [str(contest / "outputs"), str(contest / "references"), str(pack), str(tmp_path / "cache")]
    running = [
        subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    deadline = time.monotonic() + 60
    while not (tmp_path / "cache" / FILE).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    running[0].send_signal(signal.SIGKILL)
    finals = [float(process.communicate(timeout=120)[0]) for process in running[1:]]
    running[0].communicate()
    assert finals == pytest.approx([report.scores.final] * 2, abs=1e-6)
    assert Cache(tmp_path / "cache").verify()[1] == 0
    after = score_submission(arguments[0], references=arguments[1], weights=pack, cache=tmp_path / "cache", write=False)
    assert after.scores.final == pytest.approx(report.scores.final, abs=1e-6)


def test_commands(pack, contest, tmp_path):
    def run(*arguments: object):
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert "Traceback" not in result.output
        return result

    place = ("--cache", tmp_path / "cache")
    assert "nothing is cached yet" in run("cache", "info", *place).output
    scoring = ("score", contest / "outputs", "--references", contest / "references", "--weights", pack)
    assert run(*scoring, *place, "--out", tmp_path / "report").exit_code == 0
    info = run("cache", "info", *place).output
    for words in ("dinov2", "squeezenet references", "clip text", "215"):
        assert words in info
    assert " 0 damaged" in run("cache", "verify", *place).output
    assert " 0 entries forgotten" in run("cache", "clear", "--older-than", 1, *place).output
    database = sqlite3.connect(tmp_path / "cache" / FILE)
    with database:
        database.execute("UPDATE entries SET checksum = x'00' WHERE kind = 'dinov2'")
    database.close()
    result = run("cache", "verify", *place)
    assert (result.exit_code, " 20 damaged" in result.output) == (1, True)
    assert "entries forgotten" in run("cache", "clear", *place).output
    assert Cache(tmp_path / "cache").kinds() == []
    (tmp_path / "cache" / FILE).write_bytes(b"no database" * 1000)
    result = run("cache", "info", *place)
    assert (result.exit_code, "not a cache" in result.output) == (2, True)
    assert run(*scoring, *place, "--no-cache", "--out", tmp_path / "report").exit_code == 2


def test_without_a_cache_nothing_is_written(pack, contest, tmp_path, monkeypatch):
    monkeypatch.setenv("JDART_CACHE", str(tmp_path / "mine"))
    score_submission(contest / "outputs", references=contest / "references", weights=pack, cache=False, write=False)
    assert not (tmp_path / "mine").exists()


def test_commands_say_what_is_wrong_with_a_cache(tmp_path):
    shutil.copy(__file__, tmp_path / FILE)
    with pytest.raises(UserError, match="not a cache"):
        Cache(tmp_path).clear()
    os.unlink(tmp_path / FILE)
