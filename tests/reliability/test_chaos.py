"""The campaign's own parts: who is killed, when, and what is noticed of what is left."""

import os
import random
import sys
import time
from pathlib import Path

import pytest

from benchmarks.reliability.command import Hangs, call, ended, kill, start
from benchmarks.reliability.kills import Moment, draw_moment, try_kills
from benchmarks.reliability.page import put_table
from benchmarks.reliability.stage import Stage, Undisturbed, Unlike
from contest.disk.files import atomic_write

# a command with a child in a session of its own, as jdart's workers are; the child's number is its first line
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(child.pid, flush=True)
child.wait()
"""


def is_alive(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="families are known by /proc")
@pytest.mark.parametrize("alone", [False, True])
def test_all_that_a_command_has_started_is_killed_or_it_alone(alone, tmp_path):
    process = start([sys.executable, "-c", PARENT], tmp_path)
    with process.stdout, process.stderr:
        child = int(process.stdout.readline())
        kill(process, alone)
    assert process.returncode == -9
    if alone:
        assert is_alive(child)
        os.kill(child, 9)
    until = time.monotonic() + 60
    while is_alive(child):  # a killed process takes its time to go
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_command_that_has_no_end_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.reliability.command.HANGS", 0.2)
    with pytest.raises(Hangs, match="did not end"):
        ended(start([sys.executable, "-c", "import time; time.sleep(600)"], tmp_path))


def test_the_moment_of_a_file_is_its_draft_or_itself(tmp_path):
    moment = Moment(0.0, tmp_path / "a[1].txt", False)
    assert not moment.has_come(100.0)
    with atomic_write(tmp_path / "a[1].txt"):
        assert moment.has_come(0.0)
    assert moment.has_come(0.0)
    by_clock = Moment(2.0, None, False)
    assert not by_clock.has_come(1.9) and by_clock.has_come(2.0)


def stage_of(tmp_path, code):
    return Stage("small", [sys.executable, "-c", code], tmp_path / "out", (tmp_path / "out").mkdir)


GOOD = "from contest.disk.files import write_bytes; [write_bytes(f'out/{n}', b'x') for n in 'ab']"
APPENDS = "open('out/a', 'a').write('x'); open('out/b', 'a').write('x'); import time; time.sleep(0.3)"


@pytest.mark.parametrize(("code", "good"), [(GOOD, True), (APPENDS, False)])
def test_a_command_that_goes_wrong_once_it_was_killed_is_noticed(code, good, tmp_path):
    stage = stage_of(tmp_path, f"import os; os.chdir({str(tmp_path)!r}); {code}")
    whole = stage.undisturbed(tmp_path / "notes")
    assert set(whole.alike) == {"a", "b"} and whole.seconds > 0
    trials = [try_kills(stage, whole, 0, number, 4) for number in range(4)]
    assert any(trial.moments for trial in trials) or good
    assert all(trial.wrong == [] for trial in trials) == good
    assert stage.undisturbed(tmp_path / "notes") == whole, "not made again"


def test_undisturbed_runs_are_made_again_for_another_commit_which_they_write_down(tmp_path):
    stage = stage_of(tmp_path, f"import os; os.chdir({str(tmp_path)!r}); {GOOD}")
    (tmp_path / ".git").mkdir()
    for commit in "ab":
        (tmp_path / ".git" / "HEAD").write_text(commit * 40)
        stage.undisturbed(tmp_path / "notes")
    assert sorted(path.name for path in (tmp_path / "notes").iterdir()) == ["a" * 40, "b" * 40]


def test_what_is_left_over_missing_or_other_is_named():
    whole = Undisturbed({"a": "1", "b": "2"}, ["c"], 1.0)
    assert whole.differing({"a": "1", "b": "2", "c": "9"}) == []
    assert whole.differing({"a": "3", "d": "4"}) == ["a", "b", "c", "d"]


def test_moments_are_drawn_over_the_whole_time_and_at_files_that_are_not_there_yet(tmp_path):
    stage = stage_of(tmp_path, "")
    stage.prepare()
    (tmp_path / "out" / "a").touch()
    (tmp_path / "out" / ".d.0123abcd.part").touch()
    rng = random.Random(0)
    moments = [draw_moment(rng, stage, Undisturbed(dict.fromkeys("abd", "1"), ["c"], 10.0)) for _ in range(200)]
    seconds = [moment.seconds for moment in moments]
    assert min(seconds) < 1 and max(seconds) > 9 and max(seconds) <= 10
    files = {moment.file for moment in moments}
    assert files == {None, tmp_path / "out" / "b", tmp_path / "out" / "c"}
    assert {moment.alone for moment in moments} == {False, True}


def test_a_command_that_fails_is_unlike(tmp_path):
    with pytest.raises(Unlike, match="ended with 3: why"):
        stage_of(tmp_path, "import sys; sys.stderr.write('why'); sys.exit(3)").finish()
    assert call([sys.executable, "-c", "print(1)"], tmp_path).stdout == "1\n"


def test_a_table_takes_the_place_of_the_last_one(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A\n### B\nold\n\n### C\nkept\n")
    put_table(page, "B", "new")
    assert page.read_text() == "# A\n### B\nnew\n\n### C\nkept\n"
    with pytest.raises(ValueError, match="no heading D"):
        put_table(page, "D", "new")
