"""Nothing asks the network unasked: not when a package is imported, and not for any command's --help."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WATCH = """
import sys

def watch(event, given):
    local = event == "socket.connect" and not isinstance(given[1], tuple)  # of this machine, by a path
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto") and not local:
        raise AssertionError(f"asks the network: {event} {given}")

sys.addaudithook(watch)
"""
IMPORTS = """
import importlib, pkgutil

names = sys.argv[1:]
count = 0
for name in names:
    package = importlib.import_module(name)
    if name == "jdart":
        from jdart.runtime import start
        start("cpu")  # as every command that computes does before it imports Jittor
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
            count += 1
print(count)
"""
HELP = """
import importlib

import click
from click.testing import CliRunner

def leaves(command, path):
    yield path
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            yield from leaves(command.get_command(click.Context(command), name), (*path, name))

count = 0
for package in ("submission", "evaluator", "leaderboard", "organiser", "jdart"):
    main = importlib.import_module(package + ".cli").main
    for path in leaves(main, ()):
        result = CliRunner().invoke(main, [*path, "--help"])
        assert result.exit_code == 0 and "Usage" in result.output, (package, path, result.output, result.exception)
        count += 1
print(count)
"""


def run(code, *names):
    return subprocess.run(
        [sys.executable, "-c", WATCH + code, *names], cwd=ROOT, capture_output=True, text=True, check=False
    )


LIGHT = ("contest", "submission", "evaluator", "leaderboard", "organiser")


@pytest.mark.parametrize(
    ("code", "names", "least"),
    [
        (HELP, (), 40),
        (IMPORTS, LIGHT, 100),
        pytest.param(IMPORTS, ("jdart",), 100, marks=pytest.mark.slow),  # Jittor with it
    ],
)
def test_no_import_and_no_help_asks_the_network(code, names, least):
    done = run(code, *names)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout.split()[-1]) >= least


def test_what_asks_it_would_be_seen():
    for code in (
        "import socket; socket.create_connection(('192.0.2.1', 9))",
        "import socket; socket.getaddrinfo('x', 1)",
    ):
        assert "asks the network" in run(code).stderr
