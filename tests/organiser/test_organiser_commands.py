"""jdart-organise as an organiser types it, with the toy's own networks."""

import json
import os

import pytest
import torch
from click.testing import CliRunner
from small_event import entry_bytes

from organiser.cli import main

os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)


def run(event, *words, code=0):
    done = CliRunner().invoke(main, [*map(str, words), "--folder", str(event.home)])
    assert done.exit_code == code, (words, done.output, done.exception)
    return done.output


def test_an_evening(event):
    """init, receive, status, withdraw, choose, freeze, retry, publish."""
    rules = event.write_rules(counts="chosen", title="An evening")
    assert "ready for contest small, 4 pictures" in run(event, "init", rules)
    assert "already" in run(event, "init", rules, code=2)
    (event.inbox / "alpha.zip").write_bytes(entry_bytes("alpha"))
    (event.inbox / "beta").mkdir()
    (event.inbox / "beta" / "first try.zip").write_bytes(entry_bytes("beta", leave_out=["Oak"]))
    said = run(event, "receive", event.inbox, "--settle", 0)
    assert "1 alpha: scored" in said and "2 beta: refused: S102 01/Oak.png is not there" in said
    assert "standing.html: 1 teams ranked, live" in said
    (event.folder / "mended.zip").write_bytes(entry_bytes("beta"))
    assert "3 beta: scored" in run(event, "receive", event.folder / "mended.zip", "--team", "beta")
    assert "--team" in run(event, "receive", event.folder / "mended.zip", code=2)
    assert "--team" in run(event, "receive", event.folder / "mended.zip", "--team", "../up", code=2)
    said = run(event, "status")
    assert said.startswith("2 scored, 1 refused\n2 beta: refused") and "leads on: retry, withdraw" in said
    assert len(json.loads(run(event, "status", "--format", "json"))["entries"]) == 3
    assert "alpha: 1" in run(event, "choose", "alpha", 1)
    assert "1 alpha: withdrawn: asked" in run(event, "withdraw", 1, "--reason", "asked")
    assert "already" in run(event, "withdraw", 1, "--reason", "asked", code=2)
    assert "1 teams ranked" in run(event, "publish")
    assert "1 alpha: scored" in run(event, "retry", 1)
    assert "what leads on from there: rescore, withdraw" in run(event, "retry", 1, code=2)
    assert "stands still since" in run(event, "freeze") and "goes on" in run(event, "freeze", "--lift")
    assert "2 teams ranked, final" in run(event, "publish", "--final")
    rows = json.loads((event.home / "site" / "standing.json").read_text())["rows"]
    assert {row["team"] for row in rows} == {"alpha", "beta"} and rows[0]["figures"]["final"] > 0
    page = (event.home / "site" / "standing.html").read_text()
    assert "nothing to renew" in run(event, "rescore")
    assert run(event, "audit").strip().endswith("good")
    assert "toy weights: not comparable" in page and "An evening" in page
    assert "alpha" in (event.home / "site" / "index.html").read_text()


@pytest.mark.parametrize(("words", "problem"), [(("status",), "no event here"), (("init", "no.yaml"), "no such file")])
def test_misuse_is_a_line(event, words, problem):
    said = run(event, *words, code=2)
    assert said.count("\n") == 1 and problem in said
