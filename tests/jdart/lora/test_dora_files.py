"""DoRA files: round trips between the formats, and what diffusers, PEFT and LyCORIS make of them."""

import itertools
import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from lora_files import PLACES, assert_same, written
from safetensors.torch import load_file, save_file

from contest.errors import UserError
from jdart.cli import main
from jdart.generation.adapters import Adapter, adapted
from jdart.lora.combine import combine, truncate
from jdart.lora.convert import merge_files, merge_files_into_base
from jdart.lora.formats.clients import OTHERWISE, readers
from jdart.lora.formats.file import LoraFile
from jdart.lora.formats.reading import load_lora
from jdart.lora.formats.writing import save_lora
from jdart.lora.merge import layer_shapes, merged, weights
from jdart.lora.pairs import LoraPair

pytestmark = pytest.mark.filterwarnings("ignore:Already found a `peft_config`:UserWarning")  # of a second adapter
FORMATS = ("diffusers", "peft", "kohya")
UNET_KINDS = ("to_q", "to_out.0", "proj_in", "conv1", "conv_shortcut")


@pytest.fixture
def doras(base, make_dora):
    """Of linear layers and convolutions of the UNet, and of the text encoder; alpha is not the rank."""
    return {
        "unet": make_dora(base.unet, UNET_KINDS),
        "text_encoder": make_dora(base.text_encoder, ("q_proj", "out_proj", "fc1"), rank=2, alpha=1.5),
    }


def pipeline(folder):
    from diffusers import StableDiffusionPipeline

    return StableDiffusionPipeline.from_pretrained(folder)


def merged_by(pipe):
    """What diffusers and PEFT make of the UNet's weights: layer -> weight."""
    pipe.fuse_lora(components=["unet"])
    pipe.unload_lora_weights()
    return {name[: -len(".weight")]: value.numpy() for name, value in pipe.unet.state_dict().items()}


def assert_merged(base, pairs, expected):
    with merged(base.unet, pairs):
        found = {name: value.numpy() for name, value in weights(base.unet).items()}
    assert max(np.abs(expected[name] - value).max() for name, value in found.items()) < 1e-5
    plain = weights(base.unet)
    assert all(np.abs(expected[name] - plain[name].numpy()).max() > 1e-3 for name in pairs)


def assert_same_magnitudes(found, expected):
    assert_same(found, expected)
    for network, pairs in expected.items():
        for name, pair in pairs.items():
            np.testing.assert_array_equal(found[network][name].magnitude, pair.magnitude)


@pytest.mark.parametrize(("first", "second"), itertools.permutations(FORMATS, 2))
def test_round_trips_keep_every_number(first, second, doras, tmp_path):
    path = written(tmp_path, doras, first)
    (tmp_path / "x").mkdir()
    again = written(tmp_path / "x", load_lora(path).pairs, second)
    assert load_lora(again).format == second
    assert_same_magnitudes(load_lora(again).pairs, doras)


@pytest.mark.parametrize("options", [{}, {"rslora": True}], ids=["alpha over the rank", "rsLoRA"])
def test_diffusers_merges_and_draws_the_same_from_our_file(
    options, base, base_folder, make_dora, unet_input, unet_output, tmp_path, close
):
    pairs = make_dora(base.unet, UNET_KINDS, **options)
    name = next(iter(pairs))
    pairs[name] = LoraPair(pairs[name].a[:1], pairs[name].b[:, :1], 2.0, pairs[name].rslora, pairs[name].magnitude)
    path = written(tmp_path, {"unet": pairs}, "diffusers")
    pipe = pipeline(base_folder)
    pipe.load_lora_weights(tmp_path, weight_name=path.name)
    x, steps, text = (torch.tensor(part) for part in unet_input)
    with torch.no_grad():
        expected = pipe.unet(x, steps, text).sample.numpy()
    with merged(base.unet, pairs):
        assert close(unet_output(), expected) < 1e-4
    assert close(unet_output(), expected) > 0.01
    assert_merged(base, pairs, merged_by(pipe))


@pytest.mark.parametrize("kinds", [("q_proj", "out_proj", "fc1"), ("fc1", "fc2")], ids=["attention", "no attention"])
def test_diffusers_encodes_the_same_texts(kinds, base, base_folder, make_dora, text_output, tmp_path, close):
    pairs = {"text_encoder": make_dora(base.text_encoder, kinds, rank=2, alpha=1.5)}
    path = written(tmp_path, pairs, "diffusers")
    pipe = pipeline(base_folder)
    pipe.load_lora_weights(tmp_path, weight_name=path.name)
    ids = base.tokens(["an image of a dog"])
    with torch.no_grad():
        expected = pipe.text_encoder(torch.tensor(ids.astype(np.int64))).last_hidden_state.numpy()
    assert close(text_output(ids), expected) > 1e-3
    with merged(base.text_encoder, pairs["text_encoder"]):
        assert close(text_output(ids), expected) < 1e-4


def test_peft_reads_our_folder_and_we_read_pefts(base, base_folder, make_dora, tmp_path):
    from peft import LoraConfig, PeftModel, get_peft_model

    pairs = make_dora(base.unet, UNET_KINDS)
    path = written(tmp_path, {"unet": pairs}, "peft")
    assert json.loads((path / "unet" / "adapter_config.json").read_text())["use_dora"] is True
    model = PeftModel.from_pretrained(pipeline(base_folder).unet, path / "unet").merge_and_unload()
    assert_merged(base, pairs, {name[: -len(".weight")]: v.numpy() for name, v in model.state_dict().items()})
    torch.manual_seed(0)
    config = LoraConfig(r=3, lora_alpha=5, target_modules=list(UNET_KINDS), use_dora=True, init_lora_weights=False)
    model = get_peft_model(pipeline(base_folder).unet, config)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "magnitude" in name:
                value *= 1.0 + torch.rand_like(value)
    model.save_pretrained(tmp_path / "theirs")
    theirs = load_lora(tmp_path / "theirs").pairs["unet"]
    expected = model.merge_and_unload().state_dict()
    assert_merged(base, theirs, {name[: -len(".weight")]: value.numpy() for name, value in expected.items()})


def test_diffusers_saves_what_we_read(base, base_folder, doras, tmp_path):
    """Tensors under diffusers' names, with the settings in the metadata and without, as older versions wrote them."""
    from diffusers import StableDiffusionPipeline
    from diffusers.utils import convert_state_dict_to_diffusers

    path = written(tmp_path, {"unet": doras["unet"]}, "peft")
    from peft import PeftModel, get_peft_model_state_dict

    model = PeftModel.from_pretrained(pipeline(base_folder).unet, path / "unet")
    tensors = convert_state_dict_to_diffusers(get_peft_model_state_dict(model))
    tensors = {name.removeprefix("base_model.model."): value for name, value in tensors.items()}
    for number, said in enumerate(({"unet_lora_adapter_metadata": model.peft_config["default"].to_dict()}, {})):
        StableDiffusionPipeline.save_lora_weights(tmp_path / str(number), unet_lora_layers=tensors, **said)
        found = load_lora(tmp_path / str(number) / "pytorch_lora_weights.safetensors", None if said else 5.0)
        assert_same_magnitudes(found.pairs, {"unet": doras["unet"]})


@pytest.mark.parametrize("order", [1, -1], ids=["in order", "the other way round"])
def test_with_others_and_weights_as_in_diffusers(order, base, base_folder, make_dora, make_pairs, tmp_path, close):
    """One after the other: a DoRA's gain multiplies what came before, and takes the base's own norms."""
    parts = {
        "one": (make_dora(base.unet, UNET_KINDS), 0.7),
        "plain": (make_pairs(layer_shapes(base.unet), ("to_q", "conv1")), -0.4),
        "two": (make_dora(base.unet, ("to_q", "conv1", "to_v")), 1.3),
    }
    parts = dict(list(parts.items())[::order])
    pipe = pipeline(base_folder)
    for name, (pairs, _) in parts.items():
        save_lora(tmp_path / f"{name}.safetensors", LoraFile({"unet": pairs}))
        pipe.load_lora_weights(tmp_path, weight_name=f"{name}.safetensors", adapter_name=name)
    pipe.set_adapters(list(parts), [weight for _, weight in parts.values()])
    files = [(tmp_path / f"{name}.safetensors", weight) for name, (_, weight) in parts.items()]
    expected = merged_by(pipe)
    with adapted(base, [Adapter(*file) for file in files]):
        found = {name: value.numpy() for name, value in weights(base.unet).items()}
    assert max(np.abs(expected[name] - value).max() for name, value in found.items()) < 2e-5
    merge_files_into_base(files, base_folder, tmp_path / "base", "fp32")
    stored = load_file(tmp_path / "base" / "unet" / "diffusion_pytorch_model.safetensors")
    for name in found:
        assert np.abs(stored[f"{name}.weight"].numpy() - expected[name]).max() < 2e-5


def test_into_one_file_goes_a_dora_alone_with_its_weight(base, base_folder, make_dora, make_pairs, tmp_path):
    shapes = layer_shapes(base.unet)
    dora, other = make_dora(base.unet, ("to_q",)), make_pairs(shapes, ("to_q",))
    for name, pairs in (("dora", dora), ("plain", other), ("text", {})):
        save_lora(tmp_path / f"{name}.safetensors", LoraFile({"unet": pairs}))
    merge_files([(tmp_path / "dora.safetensors", 0.6)], tmp_path / "out.safetensors", None, "fp32")
    with merged(base.unet, dora, 0.6):
        expected = {name: value.numpy() for name, value in weights(base.unet).items()}
    assert_merged(base, load_lora(tmp_path / "out.safetensors").pairs["unet"], expected)
    command = ["lora", "merge", f"{tmp_path}/dora.safetensors:1", f"{tmp_path}/plain.safetensors:0.5"]
    result = CliRunner().invoke(main, [*command, f"{tmp_path}/both.safetensors"])
    assert result.exit_code == 2
    assert "without the base's weights" in result.output
    assert "--into" in result.output
    result = CliRunner().invoke(main, [*command, f"{tmp_path}/merged", "--into", str(base_folder)])
    assert result.exit_code == 0, result.output
    (pair,) = list(truncate({"a": next(iter(dora.values()))}, 1)[0].values())
    assert (pair.rank, pair.magnitude is not None) == (1, True)
    assert combine([(dora, 1.0), ({}, 1.0)]).keys() == dora.keys()


def test_a_network_of_both_kinds_is_kohyas_alone(base, make_dora, make_pairs, tmp_path):
    pairs = {**make_dora(base.unet, ("to_q",)), **make_pairs(layer_shapes(base.unet), ("to_k",))}
    for format in ("diffusers", "peft"):
        with pytest.raises(UserError, match="is DoRA, .* is not, and PEFT has one kind a network; write it as kohya"):
            written(tmp_path, {"unet": pairs}, format)
        assert not (tmp_path / PLACES[format]).exists()
    found = load_lora(written(tmp_path, {"unet": pairs}, "kohya")).pairs
    assert [pair.magnitude is None for pair in found["unet"].values()].count(True) == len(pairs) / 2


def test_bin_is_refused_with_a_cure(doras, tmp_path):
    path = written(tmp_path, doras, "diffusers")
    result = CliRunner().invoke(main, ["lora", "convert", str(path), f"{tmp_path}/x.bin", "--to", "bin"])
    assert result.exit_code == 2
    assert "bin has no place for its magnitude; write it as kohya, or merge it" in result.output
    assert not (tmp_path / "x.bin").exists()


def lycoris_weight(tensors, key, weight, on_out):
    """LyCORIS' merged weight: its norm runs over all but the outputs, or over all but the inputs (wd_on_out=False)."""
    up, down = tensors[f"{key}.lora_up.weight"].double(), tensors[f"{key}.lora_down.weight"].double()
    delta = tensors[f"{key}.alpha"].item() / len(down) * (up.flatten(1) @ down.flatten(1)).reshape(weight.shape)
    moved = (weight + delta).transpose(0, 0 if on_out else 1)
    norm = moved.flatten(1).norm(dim=1).reshape(-1, *[1] * (weight.ndim - 1)).transpose(0, 0 if on_out else 1)
    return (weight + delta) * tensors[f"{key}.dora_scale"] / (norm + torch.finfo(torch.float32).eps)


@pytest.mark.parametrize("on_out", [True, False])
def test_lycoris_magnitudes_are_read_along_their_own_dimension(on_out, base, make_pairs, tmp_path):
    shapes = layer_shapes(base.unet)
    pairs = make_pairs(shapes, UNET_KINDS)
    plain = {name: torch.tensor(value.numpy()) for name, value in weights(base.unet).items()}
    tensors = load_file(written(tmp_path, {"unet": pairs}, "kohya"))
    for name, weight in plain.items():
        if name in pairs:
            axis = 0 if on_out else 1
            norm = weight.transpose(0, axis).flatten(1).norm(dim=1).reshape(-1, *[1] * (weight.ndim - 1))
            scale = norm.transpose(0, axis) * (1 + torch.rand(norm.shape).transpose(0, axis))
            tensors[f"lora_unet_{name.replace('.', '_')}.dora_scale"] = scale.contiguous()
    save_file(tensors, tmp_path / "lycoris.safetensors")
    found = load_lora(tmp_path / "lycoris.safetensors").pairs["unet"]
    expected = {name: value.numpy() for name, value in plain.items()}
    for name in pairs:
        key = f"lora_unet_{name.replace('.', '_')}"
        expected[name] = lycoris_weight(tensors, key, plain[name].double(), on_out).numpy()
    assert_merged(base, found, expected)
    again = load_file(written(tmp_path, {"unet": found}, "kohya"))
    assert all((again[name] == value).all() for name, value in tensors.items() if "dora_scale" in name)
    if not on_out:
        with pytest.raises(UserError, match=r"magnitude an input .*; write it as kohya, or merge"):
            written(tmp_path, {"unet": found}, "diffusers")


@pytest.mark.parametrize(
    ("name", "shape", "word"),
    [
        ("lora_unet_mid_block_attentions_0_proj_in.dora_scale", (3, 1), r"magnitude \(3, 1\) is not that of a layer"),
        ("lora_unet_mid_block_attentions_0_proj_in.dora_scale", (), "is not that of a layer"),
        ("lora_unet_mid_block_attentions_0_proj_in.lora_magnitude_vector", (4,), "is not that of a layer"),
    ],
)
def test_magnitudes_that_do_not_belong_are_refused(name, shape, word, tmp_path):
    key = "lora_unet_mid_block_attentions_0_proj_in"
    pair = {f"{key}.lora_down.weight": torch.ones(2, 4), f"{key}.lora_up.weight": torch.ones(6, 2)}
    save_file({**pair, name: torch.ones(shape)}, tmp_path / "x.safetensors")
    with pytest.raises(UserError, match=word):
        load_lora(tmp_path / "x.safetensors")
    save_file({**pair, f"{key}.dora_scale": torch.full((6, 1), torch.inf)}, tmp_path / "x.safetensors")
    with pytest.raises(UserError, match="not finite"):
        load_lora(tmp_path / "x.safetensors")
    save_file({f"{key}.dora_scale": torch.ones(6, 1)}, tmp_path / "x.safetensors")
    with pytest.raises(UserError, match="only one of A and B"):
        load_lora(tmp_path / "x.safetensors")


def test_the_table_says_who_reads_a_dora_otherwise(doras):
    said = {
        format: {
            reader.client: [loss.code for loss in reader.losses if loss.effect == OTHERWISE]
            for reader in readers(doras, format)
        }
        for format in ("diffusers", "kohya")
    }
    assert said["diffusers"] == {"ComfyUI": ["C105"], "sd-scripts": [], "diffusers": [], "JDiffusion": []}
    assert said["kohya"] == {"ComfyUI": ["C104"], "sd-scripts": ["K103"], "diffusers": ["D105"], "JDiffusion": []}


def test_diffusers_takes_a_kohya_dora_for_a_plain_lora_as_the_table_says(base, base_folder, make_dora, tmp_path):
    pairs = make_dora(base.unet, ("to_q", "to_k"))
    path = written(tmp_path, {"unet": pairs}, "kohya")
    pipe = pipeline(base_folder)
    pipe.load_lora_weights(tmp_path, weight_name=path.name)
    plain = {name: LoraPair(pair.a, pair.b, pair.alpha) for name, pair in pairs.items()}
    assert_merged(base, plain, merged_by(pipe))


def test_inspect_shows_magnitudes(doras, tmp_path):
    path = written(tmp_path, doras, "diffusers")
    every = np.concatenate([pair.magnitude.ravel() for own in doras.values() for pair in own.values()])
    report = json.loads(CliRunner().invoke(main, ["lora", "inspect", str(path), "--json"]).output)
    assert report["dora"]["layers"] == sum(map(len, doras.values()))
    assert (report["dora"]["per"], report["dora"]["greatest"]) == ("output", pytest.approx(every.max()))
    shown = " ".join(CliRunner(env={"COLUMNS": "200"}).invoke(main, ["lora", "inspect", str(path)]).output.split())
    assert f"magnitudes, one an output: {every.min():.4g} to {every.max():.4g}, mean {every.mean():.4g}" in shown
    plain = {n: {name: LoraPair(p.a, p.b, p.alpha) for name, p in own.items()} for n, own in doras.items()}
    path = written(tmp_path, plain, "kohya")
    assert "dora" not in json.loads(CliRunner().invoke(main, ["lora", "inspect", str(path), "--json"]).output)
