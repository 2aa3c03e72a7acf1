"""Killed at each of the moments at which something takes its place on disk: the same command then gives the same, and
nothing is left. `make chaos` does it at random moments, to every command."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
for place in ("submission", "evaluator"):
    sys.path.append(str(ROOT / "tests" / place))
# Arguments: module of a command line; calls; what it makes; what is there before, or "-"; the command. For n = 1, 2...
# it is killed at the n-th of the calls below in a process of its own, then done to its end; at last n is said.
KILLED = """
import importlib, os, shutil, signal, sys
import leaderboard.building.site, submission.packing.archive
module, calls, out, before, *arguments = sys.argv[1:]
main = importlib.import_module(module).main
CALLS = [(os, name) for name in calls.split()]
if module == "leaderboard.cli":
    CALLS.append((leaderboard.building.site, "swap"))

def run(at=None):
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    calls = []
    def killing(call):
        def do(*given, **options):
            calls.append(call)
            if len(calls) == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*given, **options)
        return do
    for owner, name in CALLS:
        setattr(owner, name, killing(getattr(owner, name)))
    try:
        os.dup2(2, 1)
        main(arguments)
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else 0)
    os._exit(0)

def begin():
    shutil.rmtree(out, ignore_errors=True) if os.path.isdir(out) else os.path.exists(out) and os.unlink(out)
    if before != "-":
        shutil.copytree(before, out)

def found():
    place = os.path.dirname(out)
    left = [name for name in os.listdir(place) if name.startswith(".")]
    assert not left, left
    names = [os.path.join(folder, name) for folder, _, names in os.walk(place) for name in names]
    return {name: open(name, "rb").read() for name in names}

begin()
assert run() == 0
whole, at, code = found(), 0, None
while code != 0:
    at += 1
    begin()
    code = run(at)
    assert code in (0, -signal.SIGKILL), code
    assert run() == 0
    assert found() == whole, at
print(at - 1)
"""


def moments(module, calls, out, before, *arguments):
    """At how many moments the command was killed."""
    out.parent.mkdir()
    command = [sys.executable, "-c", KILLED, module, calls, out, before, *arguments]
    done = subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return int(done.stdout)


def test_an_archive(tmp_path):
    from tiny_entry import good_files, write_files
    from tiny_run import run_folder

    write_files(tmp_path / "entry", good_files())
    run = run_folder(tmp_path, tmp_path / "entry", contest=None)
    out = tmp_path / "made" / "x.zip"
    assert moments("submission.cli", "replace link fsync", out, "-", "build", run, "-o", out) >= 3


def test_a_site_in_the_place_of_an_older_one(tmp_path):
    from made_reports import make_report

    from leaderboard import build_site

    reports = tmp_path / "reports"
    for number in range(2):
        report, _ = make_report([3, 2], seed=number, name=f"entry {number}")
        (reports / str(number)).mkdir(parents=True)
        value = {**report.to_json(), "intervals": {"final": [0.1, 0.2]}}
        (reports / str(number) / "report.json").write_text(json.dumps(value))
    build_site([reports / "0" / "report.json"], tmp_path / "older")
    out = tmp_path / "made" / "site"
    assert moments("leaderboard.cli", "rename symlink", out, tmp_path / "older", "build", reports, "-o", out) >= 3
