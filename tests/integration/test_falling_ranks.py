"""`lora.rank_by_noise` the whole way: trained, noted, drawn with, and what cannot be done with such a file."""

import json

import pytest

from jdart.lora.formats.reading import load_lora, load_notes

LORA = "lora/00/pytorch_lora_weights.safetensors"
PLAIN = {"weights": None}
STYLE = ("--styles", "00")
RULE = {"min": 1, "alpha": 2.0}


def refused(result, *words):
    assert result.exit_code == 2, result.output
    (error,) = [line for line in result.output.splitlines() if line.startswith("error: ")]
    assert all(word in error for word in words), error


@pytest.fixture
def run(jdart, config, tmp_path):
    """A run of style 00 whose LoRA of rank 2 was trained with one rank at pure noise."""
    path = config(score=PLAIN, lora={"rank_by_noise": RULE}, train={"learning_rate": 0.05})
    result = jdart("run", path, *STYLE)
    assert result.exit_code == 0, result.output
    return tmp_path / "out"


def test_the_file_says_it_and_the_pictures_depend_on_it(run, jdart, config, tmp_path):
    from jdart.lora.formats.file import LoraFile
    from jdart.lora.formats.writing import save_lora

    assert load_notes(run / LORA)["rank_by_noise"] == RULE
    assert json.loads((run / "run.json").read_text())["config"]["lora"]["rank_by_noise"] == RULE
    assert "'min': 1" in jdart("lora", "inspect", run / LORA).output
    picture = run / "images" / "00" / "Moon.png"
    assert "byte for byte the same" in jdart("redraw", picture).output
    lora = load_lora(run / LORA)
    notes = {key: value for key, value in lora.settings.items() if key != "rank_by_noise"}
    whole = tmp_path / "whole"
    (whole / LORA).parent.mkdir(parents=True)
    save_lora(whole / LORA, LoraFile(lora.pairs, notes))
    for source, same in ((run, True), (whole, False)):
        out = tmp_path / f"from {source.name}"
        plain = config(score=PLAIN, output=str(out))  # how it was trained is in the file, not in the settings
        assert jdart("generate", plain, *STYLE, "--loras", source).exit_code == 0
        pixels = [(folder / "images" / "00" / "Moon.png").read_bytes() for folder in (run, out)]
        assert (pixels[0] == pixels[1]) == same


def test_without_it_nothing_is_said(jdart, config, tmp_path):
    assert jdart("train", config(score=PLAIN, train={"steps": 1}), *STYLE).exit_code == 0
    assert "rank_by_noise" not in load_notes(tmp_path / "out" / LORA)
    assert "rank_by_noise" not in (tmp_path / "out" / "run.json").read_text()


def test_what_fixes_the_ranks_is_refused_and_what_loses_the_rule_is_told(run, jdart, tmp_path, models, caplog):
    file, out = run / LORA, tmp_path / "new.safetensors"
    refused(jdart("lora", "merge", file, f"{file}:0.5", out), "falls with the noise", "generate.loras")
    refused(jdart("lora", "merge", file, tmp_path / "base", "--into", models / "base"), "falls with the noise")
    refused(jdart("export", "diffusers", run), "falls with the noise")
    assert not out.exists() and not (tmp_path / "base").exists() and not (run / "diffusers").exists()
    result = jdart("lora", "convert", file, out, "--to", "kohya")
    assert result.exit_code == 0 and "other programs add all of it always; jdart alone heeds" in caplog.text
    assert load_lora(out).settings["rank_by_noise"] == RULE
    result = jdart("lora", "convert", file, tmp_path / "peft", "--to", "peft")
    assert result.exit_code == 0 and load_lora(tmp_path / "peft").settings["rank_by_noise"] == RULE
    result = jdart("lora", "convert", file, tmp_path / "new.bin", "--to", "bin")
    assert result.exit_code == 0 and "jdart too, as a .bin says nothing of it" in caplog.text


def test_a_start_has_to_be_of_the_same_rule(run, jdart, config, tmp_path):
    start = {"init_from": str(run / LORA)}
    out = ("--output", tmp_path / "next")
    refused(jdart("train", config(score=PLAIN, lora=start), *STYLE, *out), "rank_by_noise: {min: 1, alpha: 2}")
    again = jdart("train", config(score=PLAIN, lora={**start, "rank_by_noise": RULE}), *STYLE, *out)
    assert again.exit_code == 0, again.output


def test_packed_validated_averaged_and_also_written(jdart, config, tmp_path, caplog):
    """Ranks 2 of two styles: 4, of which the rule keeps twice its least; validation draws through the masks."""
    result = jdart(
        "run",
        config(
            score=PLAIN,
            lora={"rank_by_noise": {"min": 1}},
            train={"packed": True, "ema_decay": 0.9, "also": "kohya", "steps": 2, "timesteps": "style_friendly"},
            validation={"steps": 2, "images": 1, "loss_batches": 1},
        ),
    )
    assert result.exit_code == 0, result.output
    assert "other programs add all of it always" in caplog.text
    (file,) = (tmp_path / "out" / "lora" / "packed").glob("pytorch_lora_weights.safetensors")
    assert load_notes(file)["rank_by_noise"] == {"min": 2, "alpha": 1.0}


def test_a_least_rank_that_is_the_rank_does_nothing(jdart, config, caplog):
    setting = config(score=PLAIN, lora={"rank_by_noise": {"min": 2}}, train={"steps": 1})
    assert jdart("train", setting, *STYLE).exit_code == 0
    assert "lora.rank_by_noise: does nothing with min: 2" in caplog.text
