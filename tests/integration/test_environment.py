"""Odd surroundings: whatever the machine is like, a command ends with a code of ours and at most one line of error.

No home, a cache that is a file, a terminal one column wide, output that nothing takes, a locale that is not there.
Most of them are met in containers, CI and cron jobs.
"""

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAMPLE, HELD_OUT = ROOT / "data" / "sample", ROOT / "data" / "held_out"
NOBODY = 12345  # a user without a line in passwd

COMMANDS = {
    "doctor": ("jdart", "doctor", "--base", "toy", "--weights", "toy"),
    "config": ("jdart", "config", "demo"),
    "check": ("submission", "check", "entry", "--contest", "tiny.yaml"),
    "github": ("submission", "check", "entry", "--contest", "tiny.yaml", "--format", "github"),
    "verify": ("evaluator", "weights", "verify", "toy"),
    "cache": ("evaluator", "cache", "info"),
    "board": ("leaderboard", "build", "entry", "-o", "site"),
    "help": ("jdart", "--help"),
}
PLACES = ("HOME", "XDG_CACHE_HOME", "JDART_CACHE", "JITTOR_HOME", "TMPDIR", "HF_HOME")
ODD_PLACES = ("", "relative", "~", "afile", "/nonexistent/place", "/dev/null", "loop", "x" * 300)
ODD = {
    **{f"{place}={odd[:12]}": {place: odd} for place, odd in itertools.product(PLACES, ODD_PLACES)},
    **{f"COLUMNS={width}": {"COLUMNS": width} for width in ("", "0", "1", "2", "5", "abc", "-1", "1000000")},
    **{f"LINES={height}": {"LINES": height, "COLUMNS": "30"} for height in ("0", "1", "abc")},
    **{f"TERM={kind}": {"TERM": kind, "FORCE_COLOR": "1", "COLUMNS": "1"} for kind in ("", "dumb", "nonsense")},
    **{f"LC_ALL={name}": {"LC_ALL": name, "PYTHONUTF8": "0"} for name in ("C", "POSIX", "xx_YY.nonsense", "zh_CN.GBK")},
    **{f"PYTHONIOENCODING={name}": {"PYTHONIOENCODING": name} for name in ("ascii", "ascii:strict", "gbk", "latin-1")},
    **{f"PATH={path}": {"PATH": path} for path in ("", "/nonexistent")},
    "OMP_NUM_THREADS": {"OMP_NUM_THREADS": "nonsense"},
    "GITHUB_STEP_SUMMARY": {"GITHUB_STEP_SUMMARY": "/nonexistent/summary"},
    "HF_ENDPOINT": {"HF_ENDPOINT": "nonsense", "HF_HUB_DOWNLOAD_TIMEOUT": "soon"},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with an entry that has one finding, and the contest it is for."""
    folder = tmp_path_factory.mktemp("odd")
    (folder / "entry" / "00").mkdir(parents=True)
    shutil.copy(HELD_OUT / "00" / "Owl.png", folder / "entry" / "00" / "Owl.png")
    (folder / "tiny.yaml").write_text('name: tiny\nstyles:\n  "00": [Cat, Owl]\n')
    (folder / "afile").touch()
    (folder / "loop").symlink_to(folder / "loop")
    return folder


def run(place, command, script='exec "$@"', **variables):
    """Run a command as a shell would; (code, output). The rules that hold everywhere are looked at here."""
    package, *arguments = COMMANDS[command]
    environment = {"PATH": os.environ["PATH"], "HOME": str(place / "home"), "PYTHONPATH": str(ROOT), **variables}
    done = subprocess.run(
        ["/bin/sh", "-c", script, "sh", sys.executable, "-m", package, *arguments],
        cwd=place,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
    )
    output = done.stdout.decode("utf-8", "replace")
    assert done.returncode in (0, 1, 2), output
    assert "Traceback" not in output and "Exception ignored" not in output, output
    errors = sum(line.startswith(("error: ", "Error: ")) for line in output.splitlines())
    assert errors == (done.returncode == 2 and "2>&" not in script), output
    return done.returncode, output


@pytest.mark.parametrize("name", list(ODD))
def test_odd_variables(name, place):
    """Each in turn with one of the commands; the wide product of both is tried by hand before a release."""
    commands = [command for command in COMMANDS if command != "help"]
    run(place, commands[list(ODD).index(name) % len(commands)], **ODD[name])


@pytest.mark.parametrize("command", ["check", "doctor", "cache"])
def test_a_terminal_one_column_wide(command, place):
    code, output = run(place, command, COLUMNS="1")
    assert code in (0, 1)
    assert output.strip()
    if command == "check":
        assert "S102" in output.replace("\n", "")


@pytest.mark.parametrize("command", ["help", "config", "check"])
@pytest.mark.parametrize(
    ("script", "code"),
    [
        ('exec "$@" >/dev/full', 2),
        ('exec "$@" >/dev/full 2>&1', 2),
        ('exec "$@" >&-', None),
        ('exec "$@" <&- >&- 2>&-', None),
        ('mkdir gone && cd gone && rmdir ../gone && exec "$@"', None),
    ],
    ids=["full disk", "all full", "stdout closed", "all closed", "folder removed"],
)
def test_what_a_shell_can_do_to_a_command(command, script, code, place):
    if "full" in script and not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    found, output = run(place, command, script)
    assert code is None or found == code, output
    if code == 2 and "2>&" not in script:
        assert "no space left" in output


def test_a_reader_that_has_gone(place):
    _, output = run(place, "config", '{ "$@"; echo "code $?" >&2; } | true')
    assert "error" not in output
    assert "code 0" in output or "code 1" in output


def test_umask_and_a_limit_of_files(place):
    run(place, "verify", 'umask 0077; exec "$@"', JDART_CACHE=str(place / "masked"))
    run(place, "check", 'ulimit -n 32; exec "$@"')


@pytest.fixture
def nobody(place):
    """How to run as a user without a home or a line in passwd, who may read everything."""
    tool = shutil.which("setpriv")
    if os.geteuid() != 0 or tool is None:
        pytest.skip("needs root and setpriv")
    reading = "--inh-caps +dac_read_search --ambient-caps +dac_read_search"
    script = f'unset HOME; exec {tool} --reuid {NOBODY} --regid {NOBODY} --clear-groups {reading} "$@"'
    if subprocess.run(["/bin/sh", "-c", script, "sh", sys.executable, "-c", ""], check=False).returncode != 0:
        pytest.skip("this machine lets nobody be another user")
    return script


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("config", 0, "name: demo"),
        ("cache", 2, "set JDART_CACHE to a folder"),
        ("verify", 2, "set JDART_CACHE to a folder"),
        ("doctor", 1, "set HOME to a"),
    ],
)
def test_a_user_without_a_home(command, code, words, place, nobody):
    found, output = run(place, command, nobody, COLUMNS="200")
    assert found == code
    assert words in output
