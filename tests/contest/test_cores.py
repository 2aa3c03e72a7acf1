import os
import subprocess
import sys

import pytest

from contest import cores


@pytest.mark.parametrize(
    ("quota", "count"),
    [("max 100000", 6), ("150000 100000", 2), ("25000 100000", 1), ("900000 100000", 6), ("", 6), (None, 6)],
)
def test_no_more_than_the_container_pays_for(quota, count, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(6)), raising=False)
    monkeypatch.setattr(cores, "QUOTA", tmp_path / "cpu.max")
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota + "\n")
    assert cores.cores() == count


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="a process's cores are its own on Linux only")
def test_no_more_than_the_process_may_run_on():
    one = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
    code = f"{one}; from contest.cores import cores; print(cores())"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "1\n"


def test_where_nobody_says_it_is_all_there_are(monkeypatch, tmp_path):
    monkeypatch.setattr(cores, "QUOTA", tmp_path / "cpu.max")
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    for there, count in ((4, 4), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda there=there: there)
        assert cores.cores() == count
