"""`from jdart import ...`: the same files as the commands make, and objects that a notebook shows."""

import csv
import io
import subprocess
import sys
import typing

import pytest
from click.testing import CliRunner
from PIL import Image

import jdart
from jdart.cli import main


def test_the_package_loads_nothing_until_asked():
    code = "import jdart, sys; print([m for m in ('numpy', 'jittor', 'jdart.config') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_every_public_name_is_there_and_typed():
    for name in jdart.__all__:
        assert getattr(jdart, name).__doc__, name
    for function in (jdart.train, jdart.generate):
        assert typing.get_type_hints(function)["config"] is jdart.Config
    with pytest.raises(AttributeError, match="no attribute 'draw'"):
        _ = jdart.draw


def test_train_and_generate_make_what_the_commands_make(config, tmp_path):
    made = CliRunner().invoke(main, ["generate", str(config()), "--output", str(tmp_path / "cli"), "--device", "cpu"])
    assert made.exit_code != 0  # not trained yet
    settings = jdart.load_config(str(config()), output=str(tmp_path / "api"))
    with pytest.raises(jdart.UserError, match="is not trained yet"):
        jdart.generate(settings, device="cpu")
    events = []
    trained = jdart.train(settings, device="cpu", progress=events.append)
    drawn = jdart.generate(settings, device="cpu", progress=events.append)
    assert {event.stage for event in events} >= {"train", "generate"}
    for command in ("train", "generate"):
        options = [command, str(config()), "--output", str(tmp_path / "cli"), "--device", "cpu"]
        assert CliRunner().invoke(main, options).exit_code == 0
    for style, path in trained.loras.items():
        assert path.read_bytes() == (tmp_path / "cli" / path.relative_to(trained.folder)).read_bytes()
        rows = csv.DictReader((path.parent / "loss.csv").read_text("utf-8").splitlines())
        assert trained.losses[style] == tuple(float(row["loss"]) for row in rows)
    pictures = [path for prompts in drawn.images.values() for path in prompts.values()]
    assert sorted(pictures) == sorted((tmp_path / "api" / "images").rglob("*.png"))
    for path in pictures:
        assert path.read_bytes() == (tmp_path / "cli" / path.relative_to(drawn.folder)).read_bytes()
    assert jdart.train(settings, device="cpu") == trained


def test_a_drawing_shows_its_sheets_one_below_the_other(tmp_path):
    for name, size, colour in (("00", (30, 20), "red"), ("01", (40, 10), "blue")):
        Image.new("RGB", size, colour).save(tmp_path / f"{name}.png")
    drawn = jdart.Drawn(tmp_path, {}, {name: tmp_path / f"{name}.png" for name in ("00", "01")})
    shown = Image.open(io.BytesIO(drawn._repr_png_()))
    assert shown.size == (40, 30)
    assert [shown.getpixel(place) for place in ((0, 0), (35, 0), (39, 29))] == [
        (255, 0, 0),
        (255, 255, 255),
        (0, 0, 255),
    ]


def test_what_was_trained_shows_itself_as_a_table(tmp_path):
    lora = tmp_path / "lora" / "<b>" / "x.safetensors"
    shown = jdart.Trained(tmp_path, {"<b>": lora}, {"<b>": (0.5, 0.25)})._repr_html_()
    assert "<b>" not in shown
    assert "<td>2</td><td>0.5000</td><td>0.2500</td>" in shown
    assert "<td></td>" in jdart.Trained(tmp_path, {"00": lora}, {"00": ()})._repr_html_()
