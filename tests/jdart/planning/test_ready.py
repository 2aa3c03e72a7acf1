"""What a configuration needs before its run: each thing missing is found, with its cure."""

import importlib.metadata
import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from safetensors.numpy import load_file, save_file

from contest.errors import UserError
from jdart.cli import main
from jdart.config import load_config
from jdart.doctor import GIB
from jdart.planning import fitting, ready
from jdart.planning.lowering import ways_to_lower
from jdart.planning.plan import Costs, Plan, Work, estimate
from jdart.planning.precision import local_base, weight_bytes
from jdart.versions import at_odds


@pytest.fixture
def config(tmp_path, base_folder):
    """One style, two pictures, the miniature base."""
    images = tmp_path / "references" / "00" / "images"
    images.mkdir(parents=True)
    for name in ("cat", "dog"):
        Image.new("RGB", (32, 32), (len(name), 9, 9)).save(images / f"{name}.png")
    (images.parent / "prompt.json").write_text(json.dumps({"0": "Moon"}))
    changes = [f"references={tmp_path / 'references'}", "contest=null", "styles=null", f"output={tmp_path / 'out'}"]
    changes += [f"base.model={base_folder}", "score.weights=null", "data.size=32"]
    return load_config("baseline", changes)


def found(config, **arguments):
    return {one.name: one for one in ready.look_at_run(config, "cpu", None, **{"measure": False, **arguments})}


def test_all_is_there(config, tmp_path):
    all_of = found(config)
    assert [one for one in all_of.values() if one.status == "fail"] == []
    assert all_of["path: references"].found == str(tmp_path / "references")
    assert all_of["pictures to learn"].found == "layout contest: 1 styles of 2 pictures, 2 in all"
    assert all_of["precision of the base"].found == "float32; in the files unet F32, vae F32, text_encoder F32"
    assert all_of["precision of what is added"].found == "float32: the UNet's LoRA, rank 4"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "name", "said", "cure"),
    [
        ("references=gone", "path: references", "gone is not there, as gone is taken from", "set references"),
        ("references=/no/where", "path: references", "/no/where is not there", "set references to the full path"),
        ("base.model=gone", "path: base.model", "no such folder", "name a folder in diffusers' layout"),
        ("score.weights=/no/where", "path: score.weights", "/no/where is not there", "set score.weights"),
        ("lora.init_from=/no/lora.safetensors", "path: lora.init_from", "is not there", "set lora.init_from"),
        ("generate.loras=[{path: /no/a.safetensors}]", "path: generate.loras", "is not there", "set generate.loras"),
        ("data.layout=mvtec", "pictures to learn", "holds no <category>/test/<defect>", "name the folder"),
        ("data.min_size=999", "pictures to learn: 00", "every picture is left out", "loosen them"),
    ],
)
def test_what_is_missing_has_a_cure(change, name, said, cure, config):
    from jdart.config.reading import from_mapping, override, to_mapping

    raw = to_mapping(config)
    override(raw, change)
    all_of = found(from_mapping(raw), measure=True)
    assert all_of[name].status == "fail"
    assert said in all_of[name].found and cure in all_of[name].cure
    assert "\n" not in f"{all_of[name].found}{all_of[name].cure}"
    assert all_of["memory and disk for the run"].cure == "mend what fails, and look again", "nothing was started"


def test_a_file_in_half_precision_is_read_and_a_quantised_one_refused(config, base_folder, tmp_path):
    half, small = tmp_path / "half.safetensors", tmp_path / "small.safetensors"
    save_file({"unet.x.lora_A.weight": np.zeros((2, 2), np.float16)}, half)
    save_file({"unet.x.absmax": np.zeros(2, np.float32)}, small)
    own = replace(config, lora=replace(config.lora, init_from=str(half)))
    assert found(own)["precision of what is added"].found.endswith(f"; in the files {half} F16")
    refused = found(replace(own, lora=replace(own.lora, init_from=str(small))))["precision of what is added"]
    assert refused.status == "fail" and "quantised" in refused.found
    assert refused.cure == "take the file in full or half precision"


def test_every_added_layer_is_float32_whatever_the_base_has(config, base_folder, tmp_path):
    """What the doctor says of precision, of a run in which all kinds of added layers are learnt."""
    import shutil

    from jdart.config import from_mapping, to_mapping
    from jdart.models.build import Base
    from jdart.models.weights import slots_of
    from jdart.training.examples import Examples
    from jdart.training.learner import Learner

    half = tmp_path / "half"
    shutil.copytree(base_folder, half)
    for path in half.glob("*/*.safetensors"):
        save_file({name: array.astype(np.float16) for name, array in load_file(path).items()}, path)
    own = replace(config, base=replace(config.base, model=str(half)))
    assert found(own)["precision of the base"].found == "float32; in the files unet F16, vae F16, text_encoder F16"
    raw = to_mapping(own)
    raw.update(text_encoder_lora={"r": 2}, token={"placeholder": "<F>"})
    raw["data"] = {"template": "an image of {object} in <F>", "size": 32}
    latents = np.zeros((2, 4, 4, 4), np.float32)
    base = Base(half)
    examples = Examples(latents, latents, np.array(["a cat", "a dog"]), None)
    learner = Learner(base, from_mapping(raw), "00", examples, None)
    parts = (base.unet, base.text_encoder)
    types = {str(getattr(module, leaf).dtype) for part in parts for _, (module, leaf, _) in slots_of(part)}
    types |= {str(one.value.dtype) for one in learner.trainables}
    learner.close()
    assert types == {"float32"}


COSTS = Costs(
    start=1, style=1, step=1, look=0, encoding=1, batch=1, call=1, memory=2 * GIB, device_memory=3 * GIB,
    lora=GIB, picture=0, sheet=0,
)  # fmt: skip


def test_a_plan_is_held_against_what_is_free(config, monkeypatch):
    plan = estimate(COSTS, [Work("00", steps=9, pictures=1)], 2)
    assert isinstance(plan, Plan) and plan.disk == 4 * GIB
    monkeypatch.setattr(fitting, "free_memory", lambda: 4 * GIB)
    monkeypatch.setattr(fitting, "free_device_memory", lambda: 2 * GIB)
    monkeypatch.setattr(fitting.shutil, "disk_usage", lambda _: (0, 0, 9 * GIB))
    monkeypatch.setattr(fitting.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 3 * GIB}))
    monkeypatch.setattr(ready, "plan_run", lambda *_: plan)
    all_of = found(config, measure=True)
    memory, device, disk = (all_of[f"{name} for the run"] for name in ("memory", "GPU memory", "disk"))
    one = replace(plan, memory=2 * GIB, workers=1)
    assert (memory.status, device.status, disk.status) == ("ok", "fail", "fail")
    assert device.found == "3.00 GiB needed, 2.00 GiB free"
    assert device.cure.startswith("set, the cheapest first: generate.batch_size=1, memory.attention_slice=1024, ")
    assert disk.cure.startswith("free some space on the disk of ")
    assert next(fitting.fitting(one, config)).found == "2.00 GiB needed, 4.00 GiB free"


def test_a_measurement_that_fails_is_a_finding(config, monkeypatch):
    def killed(*_):
        raise UserError("measuring failed: ended by SIGKILL; was the memory full?")

    monkeypatch.setattr(ready, "plan_run", killed)
    last = found(config, measure=True)["memory and disk for the run"]
    assert (last.status, last.found) == ("fail", "measuring failed: ended by SIGKILL")


def test_weights_that_do_not_fit_are_said_before_anything_is_measured(config, monkeypatch):
    monkeypatch.setattr(ready, "free_memory", lambda: 1000)
    monkeypatch.setattr(ready, "plan_run", lambda *_: pytest.fail("measured"))
    wide = found(config, measure=True)["weights of the base"]
    assert wide.status == "fail" and wide.cure.startswith("set memory.storage_dtype=float16, ")
    half = replace(config, memory=replace(config.memory, storage_dtype="float16"))
    narrow = found(half, measure=True)["weights of the base"]
    assert narrow.cure.startswith("end other programs") and " GiB in float16" in narrow.found
    assert weight_bytes(local_base(half)) == weight_bytes(local_base(config)) / 2


def test_free_memory_is_the_machine_s_or_the_container_s(monkeypatch, tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    4096 kB\n")
    monkeypatch.setattr(fitting, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(fitting, "CONTAINER", tmp_path)
    assert fitting.free_memory() == 4096 * 1024
    for name, text in (("max", "max"), ("current", "700"), ("stat", "anon 5\ninactive_file 100\n")):
        (tmp_path / f"memory.{name}").write_text(text)
    assert fitting.free_memory() == 4096 * 1024
    (tmp_path / "memory.max").write_text("1000\n")
    assert fitting.free_memory() == 1000 - 700 + 100


def test_what_lowers_memory_stands_in_the_order_of_its_price(config):
    dear = load_config("dualanodiff")
    cpu, gpu = ways_to_lower(dear, cuda=False), ways_to_lower(dear, cuda=True)
    assert [way for way in gpu if way not in cpu] == ["memory.attention_slice=1024"]
    assert "train.batch_size=1 with train.gradient_accumulation_steps=2" in cpu
    lowered = load_config("kolors", ["generate.batch_size=1", "memory.vae_tile=384", "memory.storage_dtype=float16"])
    assert ways_to_lower(lowered, cuda=False) == ["a smaller data.size or base (another result)"]
    page = (ready.Path(__file__).parents[3] / "docs" / "memory.md").read_text("utf-8")
    listed = page[page.index("cheapest first") :]
    places = [listed.index(f"`{way.partition('=')[0]}: ") for way in gpu if "=" in way]
    assert places == sorted(places), "the page has the same order"


def test_versions_that_do_not_belong_together(monkeypatch):
    versions = {"jdart": "1", "one": "2.0", "two": "1.5", "three": "9"}
    needs = {
        "jdart": ["one>=1", 'two<2; extra == "train"', 'three<5; extra == "docs"', "absent>=1"],
        "one": ["two>=1.8", "one>=2"],
        "two": None,
    }

    def version(name):
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(importlib.metadata, "requires", needs.get)
    assert at_odds("jdart", ("train",)) == [("one 2.0 needs two>=1.8, and 1.5 is here", "two>=1.8")]
    finding = ready._versions()
    assert (finding.status, finding.cure) == ("fail", "pip install 'two>=1.8'")
    versions["two"] = "1.9"
    assert ready._versions().status == "ok"


@pytest.mark.parametrize("option", [["--quick"], ["--set", "lora.r=2"], ["--device", "cpu"], ["--devices", "cpu"]])
def test_options_of_a_run_want_one(option):
    result = CliRunner().invoke(main, ["doctor", *option])
    assert result.exit_code == 2
    assert "name its configuration with --for" in result.output
