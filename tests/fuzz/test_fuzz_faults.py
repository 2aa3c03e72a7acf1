"""Faults that fuzzing found, each with what is right in its place."""

import io
import json
import math
import sqlite3
import sys
import zipfile

import numpy as np
import pytest
import torch
from fuzz_data import noted, whole
from fuzz_documents import REPORT
from fuzz_models import PROCESSOR, UNET, flat, looked_at, projections
from fuzz_targets import picture, text
from fuzz_weights import PACK, _checkpoint_with, a_pack
from PIL import Image

from contest.disk.files import read_json
from contest.disk.yaml_file import parse_yaml, read_yaml
from contest.errors import UserError
from contest.reading import contest_from_references
from evaluator.extractors.processor import read_processor
from evaluator.inputs import array_files
from evaluator.inputs.array_files import read_arrays
from evaluator.inputs.images import BadPicture, decode
from evaluator.inputs.refpack import PackedReferences
from evaluator.reporting.report import report_from_json
from evaluator.scoring.cache import Cache
from evaluator.torch_files.pickles import Machine
from evaluator.torch_files.plain import read_torch
from evaluator.torch_files.script import read_script
from jdart.config import load_config
from jdart.data.captions import load_pictures
from jdart.data.pictures import read_rgb
from jdart.generation.notes import noted_files, read_notes
from jdart.image_prompts.adapter import read_adapter
from jdart.image_prompts.encoder import ImageEncoder
from jdart.lora.formats.reading import load_lora
from jdart.models.tensors import read_tensors, to_safetensors
from jdart.models.weights import weight_files
from jdart.training.checkpoint import load_checkpoint
from leaderboard.building.marker import MARKER, read_marker
from leaderboard.building.webp import GREY, resized
from organiser.settings.reading import read_event

DEEP = "[" * 100_000


def test_a_name_with_line_breaks_in_a_refusal(tmp_path):
    torch.save({"unet.x\nfetch \x1b[31mthis": torch.ones(2, 2)}, tmp_path / "x.bin")
    with pytest.raises(UserError) as caught:
        load_lora(tmp_path / "x.bin")
    assert r"not LoRA tensors: unet.x\nfetch \x1b[31mthis; save" in str(caught.value)
    assert str(UserError("中文: é — \u2028")) == "中文: é — \\u2028"


@pytest.fixture(autouse=True)
def usual_depth():
    """Jittor raises it for the whole process."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.parametrize("text", ['!!bool "perhaps"', '!!int ""', '!!float ""', "!!timestamp soon", '!!int "-"'])
def test_a_tag_that_its_value_does_not_bear(text, tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(f"name: {text}\n")
    with pytest.raises(UserError, match="not valid YAML"):
        read_yaml(path)


def test_aliases_that_stand_for_millions():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 7)]
    assert len(parse_yaml("\n".join(lines[:5]))["a4"]) == 10
    with pytest.raises(ValueError, match=r"aliases \(\*name\) stand for more than 1000000 values"):
        parse_yaml("\n".join(lines))


def test_an_alias_inside_of_itself():
    with pytest.raises(ValueError, match="inside of what it is an alias of"):
        parse_yaml("a: &a [1, *a]")


def test_aliases_as_people_use_them():
    text = "plain: &plain {steps: 3, scale: 1.5}\none: *plain\ntwo: {<<: *plain, steps: 4}\n"
    assert parse_yaml(text) == {
        "plain": {"steps": 3, "scale": 1.5},
        "one": {"steps": 3, "scale": 1.5},
        "two": {"steps": 4, "scale": 1.5},
    }
    assert parse_yaml("") is None


@pytest.mark.parametrize("caption", ["{object[0]}", "{object.x}", "{object:>999999999}", "{object!r}", "{0}", "{"])
def test_a_caption_says_object_and_id_alone(caption, tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "a.txt").write_text(caption)
    with pytest.raises(UserError, match="only {object} and {id} can be filled in"):
        load_pictures(tmp_path, "", "00", "txt")
    with pytest.raises(UserError, match="only {object} and {id} can stand in braces"):
        load_config("demo", [f"data.template='{caption}'"])


def test_braces_written_twice_are_braces(tmp_path):
    (tmp_path / "a_cat.png").write_bytes(b"")
    (tmp_path / "a_cat.txt").write_text("{{x}} {object} in {id}")
    assert load_pictures(tmp_path, "", "00", "txt")[0].caption == "{x} a cat in 00"


def test_numbers_of_prompts_with_thousands_of_digits(tmp_path):
    (tmp_path / "00").mkdir()
    (tmp_path / "00" / "prompt.json").write_text(json.dumps({"9" * 5000: "Sun", "0": "Dolphin"}))
    assert contest_from_references(tmp_path, "c").styles == {"00": ("Sun", "Dolphin")}  # in the file's order


def test_names_that_no_disk_takes(tmp_path):
    (tmp_path / "x.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "y" * 300}}))
    with pytest.raises(UserError, match="names files that are not there"):
        weight_files(tmp_path, ("x",))
    with pytest.raises(UserError, match="no such configuration"):
        load_config("x" * 300)


def test_json_that_is_nested_too_deeply(tmp_path):
    (tmp_path / "x.safetensors.index.json").write_text(DEEP)
    with pytest.raises(UserError, match="nested too deeply"):
        read_json(tmp_path / "x.safetensors.index.json")
    with pytest.raises(UserError, match="not a shard index"):
        weight_files(tmp_path, ("x",))
    (tmp_path / "a.png").write_bytes(noted(b"jdart", DEEP.encode()))
    with pytest.raises(UserError, match="says nothing about how it was drawn"):
        read_notes(tmp_path / "a.png")
    assert noted_files(tmp_path / "a.png") is None


def test_a_picture_that_says_it_is_enormous(tmp_path):
    data = bytearray(noted(b"jdart", b"{}"))
    data[16:24] = (30_000).to_bytes(4, "big") * 2
    (tmp_path / "a.png").write_bytes(data)
    assert noted_files(tmp_path / "a.png") is None
    with pytest.raises(UserError, match="not a readable picture"):
        read_notes(tmp_path / "a.png")


@pytest.mark.parametrize("value", [10**400, 2**63, -(2**63), math.inf])
def test_scores_that_no_float_holds(value):
    with pytest.raises(ValueError, match="report.scores.final is (too large|not a finite) number|too large a number"):
        report_from_json({**REPORT, "scores": {**REPORT["scores"], "final": value}})


def test_sizes_that_are_no_numbers(tmp_path):
    (tmp_path / MARKER).write_text('{"schema_version": 2, "files": {"index.html": ["ab", 1e999]}}')
    with pytest.raises(UserError, match="not a site of jdart-board"):
        read_marker(tmp_path)


def test_a_pack_of_references_that_says_it_is_encrypted(tmp_path):
    data = bytearray(a_pack(text(PACK)))
    data[data.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "r.npz").write_bytes(data)
    with pytest.raises(UserError, match="not a references pack, or damaged .*encrypted"):
        PackedReferences(tmp_path / "r.npz")


def test_a_colour_profile_without_its_end(tmp_path):
    """After the pixels, where Pillow reads it as the last thing of all."""
    path, data = tmp_path / "a.png", picture()
    path.write_bytes(whole(data[:-12] + (1).to_bytes(4, "big") + b"iCCP\0" + bytes(4) + data[-12:]))
    with pytest.raises(IndexError), Image.open(path) as image:
        image.load()
    for read in (read_notes, read_rgb):
        with pytest.raises(UserError, match=r"a\.png: not a readable picture"):
            read(path)
    with pytest.raises(BadPicture, match="cannot be decoded"):
        decode(path.read_bytes())
    assert noted_files(path) is None
    assert resized(path.read_bytes(), 8) == GREY


def test_a_pack_of_references_that_is_one_array(tmp_path):
    np.save(tmp_path / "r.npy", np.ones(3))
    (tmp_path / "r.npy").rename(tmp_path / "r.npz")
    with pytest.raises(UserError, match="not a references pack, or damaged .*not a zip file"):
        PackedReferences(tmp_path / "r.npz")


def test_a_pack_of_references_with_something_else_in_an_array_s_place(tmp_path):
    with zipfile.ZipFile(tmp_path / "r.npz", "w") as archive:
        archive.writestr("header.json", text(PACK))
    with pytest.raises(UserError, match="not a references pack, or damaged .*header.json is no array"):
        PackedReferences(tmp_path / "r.npz")


def test_arrays_that_are_far_larger_than_their_file(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "r.npz", **{"header.json": np.zeros(100_000, np.uint8)})
    assert read_arrays(tmp_path / "r.npz")["header.json"].sum() == 0
    monkeypatch.setattr(array_files, "_FREE", 10_000)
    with pytest.raises(UserError, match="what is packed in it is far larger than the file"):
        PackedReferences(tmp_path / "r.npz")
    monkeypatch.undo()
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (1 << 50,)})
    with zipfile.ZipFile(tmp_path / "r.npz", "w") as archive:
        archive.writestr("header.json.npy", header.getvalue())
    with pytest.raises(UserError, match="not a references pack, or damaged .*1.00 PiB"):
        PackedReferences(tmp_path / "r.npz")


def test_checkpoint_notes_that_lack_something(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(_checkpoint_with(b'{"records": []}'))
    with pytest.raises(UserError, match="a damaged checkpoint"):
        load_checkpoint(path, "x")


def test_a_small_file_with_an_enormous_tensor(tmp_path):
    path = tmp_path / "x.bin"
    torch.save({"a": torch.ones(1).expand(1 << 20, 1 << 20)}, path)
    assert path.stat().st_size < 10_000
    with pytest.raises(UserError, match="says that it is larger than the file"):
        list(read_tensors([path]))
    torch.save({"a": torch.ones(1).expand(3, 4), "b": torch.arange(6.0)[::2]}, path)
    assert np.array_equal(read_torch(path)["a"].read().numpy(), np.ones((3, 4)))


@pytest.mark.parametrize("error", [MemoryError(), AssertionError("x"), IndexError("x"), KeyError("x"), OverflowError()])
def test_whatever_damaged_bytes_provoke_is_one_line(error, tmp_path, monkeypatch):
    def fail(*args, **options):
        raise error

    path = tmp_path / "x.bin"
    torch.save({"a": torch.ones(2)}, path)
    monkeypatch.setattr(Machine, "read", fail)
    for read in (read_torch, read_script):
        with pytest.raises(UserError, match=r"x\.bin: ") as caught:
            read(path)
        assert "\n" not in str(caught.value)


def test_a_cache_whose_table_is_damaged_is_set_aside(tmp_path, caplog):
    cache = Cache(tmp_path)
    cache.put("k", {"a": b"1"})
    data = cache.path.read_bytes()
    cache.path.write_bytes(data.replace(b"CREATE TABLE entries", b"CREATE TABLE \xff\xfftries"))
    assert cache.get(["a"]) == {}
    assert "damaged" in caplog.text
    cache.put("k", {"a": b"2"})
    assert cache.get(["a"]) == {"a": b"2"}
    assert sqlite3.connect(cache.path).execute("SELECT COUNT(*) FROM entries").fetchone() == (1,)


@pytest.mark.parametrize("kind", ["full", "plus"])
def test_an_adapter_whose_network_would_be_larger_than_its_file(kind, tmp_path):
    own = projections()[kind]
    large = {"full": {"proj.3.weight": np.ones(1 << 20)}, "plus": {"proj_in.weight": np.ones((1, 1 << 20))}}[kind]
    large |= {"full": {"proj.0.weight": np.ones((1 << 20, 1))}, "plus": {"latents": np.ones((1, 1, 1 << 20))}}[kind]
    tensors = {name: array.astype(np.float32) for name, array in {**own, **large}.items()}
    path = tmp_path / "x.safetensors"
    path.write_bytes(to_safetensors(flat({"image_proj": tensors, "ip_adapter": looked_at()}), {}))
    with pytest.raises(UserError, match="image_proj is damaged .its sizes do not belong together"):
        read_adapter(path, UNET)


@pytest.mark.parametrize("settings", [{}, {"vision_config": None}, {"vision_config": [1]}, {"hidden_size": 1 << 40}])
def test_an_image_encoder_whose_sizes_are_none(settings, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clip", **settings}))
    (tmp_path / "model.safetensors").write_bytes(to_safetensors({"a": np.ones(2, np.float32)}, {}))
    with pytest.raises(UserError, match="its config.json says hidden_size: "):
        ImageEncoder(tmp_path, "clip").width(True)


def test_picture_settings_that_no_float_holds(tmp_path):
    path = tmp_path / "preprocessor_config.json"
    for changed in ({"rescale_factor": 10**400}, {"image_mean": [10**400, 0, 0]}, {"crop_size": 1e999}):
        path.write_text(json.dumps({**PROCESSOR, **changed}))
        with pytest.raises(UserError, match="not an image processor's settings"):
            read_processor(path)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31 23:00"])
def test_a_deadline_that_no_zone_can_tell(moment, tmp_path):
    path = tmp_path / "event.yaml"
    path.write_text(f"{{contest: c, references: r, weights: w, time_zone: '-10:00', deadline: '{moment}'}}")
    with pytest.raises(UserError, match="deadline must be a day and a time"):
        read_event(path)
