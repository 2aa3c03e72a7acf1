"""`jdart search` on a miniature contest: what is chosen, what a stop costs, what is refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from small_contest import call, write_config, write_contest

from contest.errors import UserError
from evaluator import score_submission

CHANGES = {
    "train": {"steps": 2},
    "search": {
        "candidates": 4,
        "round": 2,
        "prune": {},
        "vary": {"generate.guidance_scale": [1.5, 4.0], "generate.strength": [None]},
    },
}
CELLS = [("00", "Moon"), ("00", "Ice cream"), ("01", "Dog"), ("01", "Sun")]


def pixels(path):
    return np.asarray(Image.open(path)).astype(int)


def files(folder):
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file() and p.name != "compiler.log"}


def choices(out):
    return json.loads((out / "choices.json").read_text())


@pytest.fixture(scope="module")
def made(tmp_path_factory, models):
    """Folder and output of a search, which no test changes."""
    folder = tmp_path_factory.mktemp("search")
    path = write_config(folder, models, write_contest(folder / "references"), CHANGES)
    result = call("search", path)
    assert result.exit_code == 0, result.output
    return folder / "out", result.output


@pytest.fixture
def searched(made, config, tmp_path):
    """Configuration, folder and output of a search that is done, for a test alone."""
    out, output = made
    shutil.copytree(out, tmp_path / "out", symlinks=True)
    return config(**CHANGES), tmp_path / "out", output


def test_an_ordinary_entry_that_says_what_was_tried(searched, jdart, config, tmp_path):
    _, out, output = searched
    told = choices(out)
    assert f"{told['final']:.4f} as chosen" in output
    again = score_submission(out, cache=False, write=False)
    assert told["final"] == pytest.approx(again.scores.final, abs=1e-8), "what jdart-eval says of the folder"
    assert told["final"] == pytest.approx(
        json.loads((out / "report" / "report.json").read_text())["scores"]["final"], abs=1e-12
    )
    assert (
        (out / "entry.zip").exists() and (out / "site" / "index.html").exists() and (out / "sheets" / "00.png").exists()
    )
    assert told["final"] >= told["final_without_search"]

    stopped = tried_in_all = 0
    for style, prompt in CELLS:
        one = told["styles"][style][prompt]
        chosen = out / "search" / "candidates" / f"{one['chosen']:02}" / style / f"{prompt}.png"
        assert (out / "images" / style / f"{prompt}.png").read_bytes() == chosen.read_bytes()
        assert list(one["tried"]) == [f"{n:02}" for n in range(len(one["tried"]))]
        tried_in_all += len(one["tried"])
        finals = {number: tried["final"] for number, tried in one["tried"].items() if "final" in tried}
        assert max(finals, key=finals.get) == f"{one['chosen']:02}", "no swap gains"
        assert finals[f"{one['chosen']:02}"] == pytest.approx(told["final"], abs=1e-6)
        for number, tried in one["tried"].items():
            picture = out / "search" / "candidates" / number / style / f"{prompt}.png"
            assert picture.exists() != tried.get("stopped", False)
            assert (out / "search" / "sketches" / number / style / f"{prompt}.png").exists()
            stopped += tried.get("stopped", False)
    assert (tried_in_all, stopped) == (4 * len(CELLS), 8), "the budget, of which half of each round stopped"
    assert told["candidates"]["00"] == {}
    assert {each["generate.guidance_scale"] for n, each in told["candidates"].items() if n != "00"} == {1.5, 4.0}

    plain = config(**CHANGES, output=str(tmp_path / "plain"))
    assert jdart("run", plain, "--loras", out).exit_code == 0
    for style, prompt in CELLS:
        own = (tmp_path / "plain" / "images" / style / f"{prompt}.png").read_bytes()
        assert (out / "search" / "candidates" / "00" / style / f"{prompt}.png").read_bytes() == own
    first = json.loads((tmp_path / "plain" / "report" / "report.json").read_text())["scores"]["final"]
    assert told["final_without_search"] == pytest.approx(first, abs=1e-8)


def test_done_again_nothing_is_done_and_a_larger_budget_goes_on(jdart, config, tmp_path):
    path, out = config(**CHANGES), tmp_path / "out"
    assert jdart("search", path).exit_code == 0
    before = files(out)
    again = jdart("search", path)
    assert again.exit_code == 0 and "nothing was done" in again.output
    assert files(out) == before
    assert jdart("run", path).exit_code == 0, "a run does not draw over what was chosen"
    assert "nothing was done" in jdart("generate", path).output
    assert {p for p, changed in files(out).items() if before.get(p) != changed} <= {out / "run.json"}

    first = choices(out)
    assert jdart("search", path, "--budget", "6").exit_code == 0
    told = choices(out)
    assert told["final"] >= first["final"]
    tried = [len(one["tried"]) for prompts in told["styles"].values() for one in prompts.values()]
    assert sum(tried) == 6 * len(CELLS)
    for p in before:
        if "search" in p.parts and "candidates" in p.parts:
            assert files(out)[p] == before[p], "nothing is drawn twice"


def test_the_plan_counts_the_candidates_that_are_left(searched, jdart, measured_once):
    path, *_ = searched
    for arguments, left in ((["--set", "search.candidates=8"], 4 * len(CELLS)), ([], 0)):
        result = jdart("plan", path, *arguments, "--json", "--device", "cpu")
        assert result.exit_code == 0, result.output
        plan = json.loads(result.output)
        assert plan["searched"] == left
        assert (plan["searching_seconds"] > 0) == (left > 0)
    assert "by jdart search" in jdart("plan", path, "--device", "cpu").output


def test_killed_in_the_middle_it_goes_on(jdart, config, tmp_path, searched):
    _, whole, _ = searched
    path = config(**CHANGES, output=str(tmp_path / "killed"))
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "jdart", "search", path, "--loras", str(whole), "--device", "cpu"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 300
    while not list(out.glob("search/candidates/*/*/*.png")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    there = files(out / "search")
    assert not (out / "choices.json").exists()
    assert jdart("search", path, "--loras", whole).exit_code == 0
    for p, changed in there.items():
        if p.suffix == ".png" and "candidates" in p.parts:
            assert p.stat().st_mtime_ns == changed
    assert choices(out)["styles"].keys() == choices(whole)["styles"].keys()
    for style, prompt in CELLS:
        for number in ("00", "01", "02", "03"):
            own = out / "search" / "candidates" / number / style / f"{prompt}.png"
            if own.exists() and (beside := whole / own.relative_to(out)).exists():
                assert np.abs(pixels(own) - pixels(beside)).max() <= 1


def test_another_run_replays_the_choice(searched, jdart, config, tmp_path):
    _, out, _ = searched
    del (changes := dict(CHANGES))["search"]
    path = config(**changes, output=str(tmp_path / "replayed"))
    result = jdart("search", path, "--loras", out, "--replay", out / "choices.json")
    assert result.exit_code == 0, result.output
    for style, prompt in CELLS:
        own, theirs = (folder / "images" / style / f"{prompt}.png" for folder in (tmp_path / "replayed", out))
        assert np.abs(pixels(own) - pixels(theirs)).max() <= 1
    for bad, word in (("run.json", "not the choices"), ("none.json", "none.json")):
        refused = jdart("search", path, "--replay", out / bad)
        assert (refused.exit_code, word in refused.output) == (2, True)
    other = jdart(
        "search", path, "--loras", out, "--replay", out / "choices.json", "--set", "seed=5", "--output", tmp_path / "x"
    )
    assert (other.exit_code, "was made with seed 0" in other.output) == (2, True)


def test_what_is_left_of_the_gain(searched, jdart):
    path, out, _ = searched
    result = jdart("search", path, "--holdout", "1")
    assert result.exit_code == 0, result.output
    told = json.loads((out / "search" / "holdout.json").read_text())
    assert {len(names) for names in told["left_out"].values()} == {1}
    assert told["seen"]["chosen"] >= told["seen"]["first"]
    assert told["held_out"]["first"] != told["seen"]["first"]

    references = out.parent / "few"
    shutil.copytree(out.parent / "references", references)
    for style, names in told["left_out"].items():
        for picture in (references / style / "images").iterdir():
            if picture.name not in names:
                picture.unlink()
    entry = out.parent / "first"
    shutil.copytree(out / "search" / "candidates" / "00", entry)
    weights = yaml.safe_load(Path(path).read_text())["score"]["weights"]
    by_hand = score_submission(entry, references=references, weights=weights, cache=False, write=False)
    assert told["held_out"]["first"] == pytest.approx(by_hand.scores.final, abs=1e-8)
    refused = jdart("search", path, "--holdout", "3")
    assert (refused.exit_code, "has 3 references" in refused.output) == (2, True)


def test_what_has_changed_since_is_named(searched, jdart, config, tmp_path, models):
    path, out, _ = searched
    before = files(out)
    changed = config(**{**CHANGES, "search": {**CHANGES["search"], "round": 3}})
    refused = jdart("search", changed)
    assert (refused.exit_code, "the search section" in refused.output) == (2, True)

    path = config(**CHANGES)
    lora = out / "lora" / "01" / "pytorch_lora_weights.safetensors"
    kept, other = lora.read_bytes(), (out / "lora" / "00" / lora.name).read_bytes()
    lora.write_bytes(other)
    refused = jdart("search", path)
    assert (refused.exit_code, "the LoRA of style 01" in refused.output) == (2, True)
    lora.write_bytes(kept)

    picture = tmp_path / "references" / "00" / "images" / "cow.png"
    shutil.copy(picture.with_name("star.png"), picture)
    refused = jdart("search", path)
    assert (refused.exit_code, "the references of style 00" in refused.output) == (2, True)
    assert {p for p in files(out) if files(out)[p] != before.get(p)} <= {lora, out / "run.json"}


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--budget", "0"), "too small"),
        (("--budget", "soon"), "write how many candidates"),
        (("--set", "search.vary={generate.strenght: [1]}"), "strenght: unknown setting"),
        (("--set", "score.weights=null"), "nothing to choose by"),
        (("--budget", "8", "--replay", "choices.json"), "leave --budget"),
        (("--set", "score.weights=nowhere"), "nowhere"),
    ],
)
def test_what_cannot_be_searched_is_said_in_a_line(jdart, config, tmp_path, arguments, word):
    result = jdart("search", config(**CHANGES), *arguments)
    assert (result.exit_code, word in result.output) == (2, True), result.output
    assert not (tmp_path / "out" / "search").exists()


def test_a_time_that_is_over_before_every_prompt_has_a_picture(jdart, config, tmp_path):
    path = config(**CHANGES)
    result = jdart("search", path, "--budget", "0.001s")
    assert (result.exit_code, "run the same command with a larger --budget" in result.output) == (2, True)
    assert jdart("search", path, "--budget", "2").exit_code == 0


def test_a_full_disk_in_the_middle_costs_nothing_that_is_there(jdart, config, tmp_path, monkeypatch):
    import jdart.searching.rounds as rounds

    path, write, calls = config(**CHANGES), rounds.write_picture, []

    def full(*arguments):
        calls.append(1)
        if len(calls) == 7:
            raise OSError(28, "No space left on device")
        write(*arguments)

    monkeypatch.setattr(rounds, "write_picture", full)
    result = jdart("search", path)
    assert result.exit_code == 2 and "no space left" in result.output
    monkeypatch.setattr(rounds, "write_picture", write)
    there = files(tmp_path / "out" / "search")
    assert jdart("search", path).exit_code == 0
    assert all(p.stat().st_mtime_ns == changed for p, changed in there.items() if "candidates" in p.parts)


def test_a_picture_of_the_users_own_is_kept(jdart, config, tmp_path):
    path, own = config(**CHANGES), tmp_path / "out" / "images" / "00" / "Moon.png"
    own.parent.mkdir(parents=True)
    Image.new("RGB", (32, 32), (1, 2, 3)).save(own)
    data = own.read_bytes()
    assert jdart("search", path, "--budget", "2").exit_code == 0
    assert own.read_bytes() != data
    assert [p.read_bytes() for p in (tmp_path / "out" / "earlier").rglob("Moon.png")] == [data]


def test_in_processes_of_their_own(jdart, config, tmp_path, searched):
    _, whole, _ = searched
    path = config(**CHANGES, output=str(tmp_path / "spread"))
    result = jdart("search", path, "--loras", whole, "--devices", "cpu,cpu", "--budget", "2")
    assert result.exit_code == 0, result.output
    told = choices(tmp_path / "spread")
    for style, prompt in CELLS:
        assert list(told["styles"][style][prompt]["tried"]) == ["00", "01"]
        own = tmp_path / "spread" / "search" / "candidates" / "00" / style / f"{prompt}.png"
        assert own.read_bytes() == (whole / own.relative_to(tmp_path / "spread")).read_bytes()


def test_the_table_of_drawing_is_right_about_its_price():
    from jdart.searching.rounds import Round
    from jdart.searching.telling import price

    looks = {prompt: {n: {"hist": 0.5, "lpips": 0.5} for n in range(4)} for prompt in ("a", "b")}
    one = Round((0, 1, 2, 3), {"a": (0, 2), "b": (0, 1)}, looks)
    assert price([one], 0.25) == pytest.approx(2 + 2 * 0.25)
    assert price([Round((0, 1), {"a": (0, 1)}, {})], 0.25) == 2
    drafted = Round((0, 1, 2, 3), {"a": (0, 2), "b": (0, 1)}, looks, seconds=15.0, drafting=5.0)
    assert price([drafted], 0.0) == pytest.approx(2 + 1), "four pictures in ten seconds, and drafts for two"


def test_misuse_in_python_is_a_user_error(config):
    from jdart.searching.chosen import read_choices

    with pytest.raises(UserError):
        read_choices(Path(config()))
