"""`jdart ablate` on a miniature contest: what is shared, what a stop costs, what the page says."""

import json
import re
import statistics
from pathlib import Path

import pytest
import yaml
from PIL import Image
from scipy.stats import t

METHODS = {
    "average-image": {
        "what": "The picture starts from the mean.",
        "variants": [{"name": "0.7", "set": {"generate.strength": 0.7}}],
    },
    "noise-offset": {
        "what": "Noise all over a channel.",
        "source": "2305.08891",
        "variants": [{"name": "0.1", "set": {"train.noise_offset": 0.1}}],
    },
}
RUNS = ["plain", "average-image/0.7", "noise-offset/0.1"]
COLUMNS = ("final", None, "hist", "lpips", "dino", "clip_r", "clip_iqa", "fid")


@pytest.fixture
def ablation(tmp_path, config):
    """Path of an ablation of three variants on one style; call with changes to write another."""

    def write(**changes):
        raw = {
            "base": config(),
            "output": str(tmp_path / "out"),
            "set": {"generate.strength": None},
            "methods": METHODS,
        }
        path = tmp_path / "methods.yaml"
        path.write_text(yaml.safe_dump({**raw, **changes}))
        return path

    return write


def files(folder):
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file() and p.name != "compiler.log"}


def runs(out):
    return [out / "runs" / name / f"seed-{seed}" for name in RUNS for seed in (0, 1)]


def final(run):
    return json.loads((run / "report" / "report.json").read_text())["scores"]["final"]


def test_trained_once_drawn_with_every_seed_and_told_on_a_page(jdart, ablation, tmp_path, capfd):
    out = tmp_path / "out"
    arguments = ("ablate", ablation(), "--styles", "00", "--seeds", "2")
    result = jdart(*arguments)
    assert result.exit_code == 0, result.output
    lines = [line.split()[3] for line in capfd.readouterr().err.splitlines() if " of 3  " in line]
    assert lines == ["plain:", "average-image", "noise-offset"]

    assert len(list(out.glob("trained/*/lora/00/loss.csv"))) == 2, "the plain one, which the start shares; the noise"
    loras = [run / "lora" / "00" / "pytorch_lora_weights.safetensors" for run in runs(out)]
    assert len({lora.read_bytes() for lora in loras}) == len({lora.stat().st_ino for lora in loras}) == 2
    assert loras[0].samefile(loras[3]) and not loras[0].samefile(loras[4])
    assert not list(out.glob("runs/**/loss.csv"))
    pictures = [(run / "images" / "00" / "Moon.png").read_bytes() for run in runs(out)]
    assert len(set(pictures)) == 6

    page = (out / "methods.md").read_text()
    check_figures(page, "noise-offset", runs(out)[:2], runs(out)[4:])
    check_figures(page, "average-image", runs(out)[:2], runs(out)[2:4])
    assert "[2305.08891](https://arxiv.org/abs/2305.08891)" in page and "Not run yet" not in page
    assert f"Written by `jdart ablate {tmp_path / 'methods.yaml'} --styles 00 --seeds 2`" in page
    best = re.findall(r"^\| (?:\[(\S+)\]|\*\*(plain)\*\*)", page, re.MULTILINE)
    gains = {name: mean_gain(runs(out)[:2], own) for name, own in zip(METHODS, (runs(out)[2:4], runs(out)[4:]))}
    order = sorted({**gains, "plain": 0.0}.items(), key=lambda item: -item[1])
    assert ["".join(names) for names in best] == [name for name, _ in order]
    for name in METHODS:
        with Image.open(out / "methods" / f"{name}.jpg") as sheet:
            assert sheet.height > 3 * 96, "references, plain, the variant"

    before = files(out)
    assert jdart(*arguments).exit_code == 0
    assert {path for path, changed in files(out).items() if before.get(path) != changed} <= {
        out / "methods.md",
        *(out / "methods" / f"{name}.jpg" for name in METHODS),
    }
    assert (out / "methods.md").read_text() == page

    picture = runs(out)[3] / "images" / "00" / "Ice cream.png"
    assert "byte for byte the same" in jdart("redraw", picture).output


def check_figures(page, method, plain, own):
    """The method's table against the reports, with SciPy's quantiles."""
    table = page.split(f"\n## {method}\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if "±" in line]
    assert len(rows) == 2
    for cells, folders in zip(rows, (plain, own)):
        scores = [json.loads((run / "report" / "report.json").read_text())["scores"] for run in folders]
        for column, cell in zip(COLUMNS, cells[1:]):
            if column is not None:
                digits = 3 if column == "fid" else 4
                assert cell == told([score[column] for score in scores], digits)
    gains = [final(run) - final(beside) for run, beside in zip(own, plain)]
    assert rows[0][2] == "" and rows[1][2].lstrip("+") == told(gains, 4)


def told(values, digits):
    half = t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.mean(values):.{digits}f} ± {half:.{digits}f}"


def mean_gain(plain, own):
    return statistics.mean(final(run) - final(beside) for run, beside in zip(own, plain))


def test_stopped_it_goes_on_where_it_was(jdart, ablation, tmp_path, monkeypatch):
    import jdart.stages.drawing as drawing
    import jdart.stages.training as training

    arguments = ("ablate", ablation(), "--styles", "00", "--seeds", "2", "--output")
    write, calls, learnt = drawing.write_picture, [], []

    def stop(*given):
        calls.append(1)
        if len(calls) == 6:  # the second picture of the start's first seed
            raise KeyboardInterrupt
        write(*given)

    train = training._train
    monkeypatch.setattr(training, "_train", lambda job, *given: learnt.append(job) or train(job, *given))
    monkeypatch.setattr(drawing, "write_picture", stop)
    assert jdart(*arguments, tmp_path / "stopped").exit_code == 130
    assert not (tmp_path / "stopped" / "methods.md").exists()
    done = files(tmp_path / "stopped" / "runs" / "plain")
    monkeypatch.setattr(drawing, "write_picture", write)
    assert jdart(*arguments, tmp_path / "stopped").exit_code == 0
    assert files(tmp_path / "stopped" / "runs" / "plain") == done
    assert len(learnt) == 2, "the stop cost no training"
    assert jdart(*arguments, tmp_path / "whole").exit_code == 0
    for path in (tmp_path / "whole").glob("runs/**/images/*/*.png"):
        assert (tmp_path / "stopped" / path.relative_to(tmp_path / "whole")).read_bytes() == path.read_bytes()


def test_a_run_is_what_it_would_be_alone(jdart, ablation, config, tmp_path):
    out = tmp_path / "out"
    result = jdart("ablate", ablation(), "--styles", "00", "--seeds", "1", "--only", "noise-offset")
    assert result.exit_code == 0, result.output
    page = (out / "methods.md").read_text()
    assert "## Not run yet\n\naverage-image 0.7." in page and "±" not in page.split("## All")[1]
    alone = ("--set", "generate.strength=null", "--set", "train.noise_offset=0.1", "--output", tmp_path / "alone")
    assert jdart("run", config(), "--styles", "00", *alone).exit_code == 0
    there = runs(out)[4]
    for path in there.glob("images/*/*.png"):
        assert path.read_bytes() == (tmp_path / "alone" / path.relative_to(there)).read_bytes()
    assert final(there) == final(tmp_path / "alone")


def test_a_recipe_of_its_own_is_told_beside_the_plain_run(jdart, ablation, config, tmp_path):
    out, recipe = tmp_path / "out", tmp_path / "recipe.yaml"
    settings = yaml.safe_load(Path(config()).read_text())
    recipe.write_text(yaml.safe_dump({**settings, "lora": {"r": 3}, "name": "other"}))
    own = {"what": "Something.", "source": "https://example.org/x", "config": str(recipe), "set": {"train.steps": 2}}
    path = ablation(title="Recipes", about="All alike.", methods={"other": own})
    result = jdart("ablate", path, "--styles", "00", "--seeds", "1", "--set", "train.batch_size=1")
    assert result.exit_code == 0, result.output
    page = (out / "methods.md").read_text()
    assert page.startswith("# Recipes\n") and "\n\nAll alike.\n\n" in page and "[other](#other) |" in page
    assert "All runs have `generate.strength=null`. What a recipe has beside that" in page
    assert "Source: [example.org/x](https://example.org/x)." in page and "| other: `train.steps=2` |" in page
    run = json.loads((out / "runs" / "other" / "seed-0" / "run.json").read_text())["config"]
    assert (run["name"], run["lora"]["r"], run["generate"]["strength"]) == ("other seed 0", 3, None)
    assert (run["train"]["steps"], run["train"]["batch_size"]) == (2, 1)
    assert len(list(out.glob("trained/*/lora/00/loss.csv"))) == 2


@pytest.mark.parametrize(
    ("arguments", "changes", "said"),
    [
        (("--only", "styelid"), {}, "--only styelid: no such method; there are plain, average-image, noise-offset"),
        (("--seeds", "0"), {}, "--seeds 0: take 1 to 31"),
        (("--set", "score.weights=null"), {}, "score.weights: not set"),
        (("--set", "generate.sampler=what"), {}, "generate.sampler: 'what'"),
        ((), {"base": "nowhere"}, "nowhere: no such configuration"),
        ((), {"methods": {}}, "methods: name at least one"),
        ((), {"method": METHODS}, "method: unknown setting; known here: title, about, base, output, set"),
        ((), {"set": {"generate.x": 1}}, "generate.x: unknown setting"),
        ((), {"set": {"seed.x": 1}}, "set: seed is not a section"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_made(arguments, changes, said, jdart, ablation, config, tmp_path):
    path = ablation(**changes)
    if "set" in changes:
        (tmp_path / "seeded.yaml").write_text((tmp_path / "config.yaml").read_text() + "seed: 3\n")
        path = ablation(**changes, base=str(tmp_path / "seeded.yaml"))
    result = jdart("ablate", path, *arguments)
    assert result.exit_code == 2
    assert said in result.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_a_grid_of_values_is_drawn_with_the_same_seeds_and_stands_on_one_board(jdart, config, tmp_path):
    path, out = config(generate={"guidance_scale": 4.0, "strength": None}), tmp_path / "grid"
    grid = ["--over", "generate.guidance_scale=1.5,4", "--over", "generate.strength=null,0.7", "--output", out]
    result = jdart("ablate", path, *grid, "--styles", "00", "--seeds", "2")
    assert result.exit_code == 0, result.output
    names = ["guidance_scale=1.5_strength=null", "guidance_scale=1.5_strength=0.7", "guidance_scale=4_strength=0.7"]
    made = sorted(path.name for path in (out / "runs" / "grid").iterdir())
    assert made == sorted(names), "the fourth is the plain run"
    page = (out / "grid.md").read_text()
    for name in names:
        finals = [final(out / "runs" / "grid" / name / f"seed-{n}") for n in (0, 1)]
        assert f"| {name}: " in page and f"| {told(finals, 4)} | " in page
    assert (out / "grid" / "grid.jpg").exists()
    board = json.loads((out / "site" / "board.json").read_text())
    shown = {entry["name"] for entry in board["entries"]}
    assert shown == {f"{name} seed {n}" for name in ("plain", *(f"grid {each}" for each in names)) for n in (0, 1)}
    assert len(list(out.glob("trained/*/lora/00/loss.csv"))) == 1, "the values are drawing's: trained once"


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ("generate.steps", "write a setting and its values"),
        ("generate.steps=", "write a setting and its values"),
        ("generate.steps=[", "write a setting and its values"),
        ("generate.x=1", "unknown setting"),
        ("base.model=a,b", "may not vary"),
        ("generate.guidance_scale=7.5", "has these values already"),
    ],
)
def test_a_grid_that_cannot_be_is_said_in_a_line(jdart, config, tmp_path, over, said):
    result = jdart("ablate", config(generate={"guidance_scale": 7.5}), "--over", over, "--output", tmp_path / "grid")
    assert result.exit_code == 2 and said in result.output, result.output
    assert not (tmp_path / "grid").exists()
