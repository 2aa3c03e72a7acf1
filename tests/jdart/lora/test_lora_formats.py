"""LoRA files between the formats, against diffusers and PEFT on PyTorch."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.numpy import load_file, save_file

from jdart.cli import main
from jdart.lora.convert import convert
from jdart.lora.file import FORMATS, LoraFile, load_lora, save_lora
from jdart.lora.merge import layer_shapes, merged
from jdart.lora.names import kohya_name, parse
from jdart.lora.pairs import LoraPair
from submission.errors import UserError

PLACES = {"diffusers": "d.safetensors", "peft": "adapter", "kohya": "k.safetensors", "bin": "b.bin"}


def written(folder, pairs, format, **options):
    path = folder / PLACES[format]
    save_lora(path, LoraFile(pairs, {"style": "07"}), format, **options)
    return path


def assert_same(found, expected):
    for network, pairs in expected.items():
        assert set(found[network]) == set(pairs)
        for name, pair in pairs.items():
            again = found[network][name]
            assert (again.a == pair.a).all(), name
            assert (again.b == pair.b).all(), name
            assert (again.alpha, again.rslora) == (pair.alpha, pair.rslora)


# Round trips


@pytest.mark.parametrize("format", ["diffusers", "peft", "kohya"])
def test_every_format_keeps_pairs_alphas_and_notes(format, every_kind, tmp_path):
    lora = load_lora(written(tmp_path, every_kind, format))
    assert_same(lora.pairs, every_kind)
    assert (lora.format, lora.alpha_known, lora.settings) == (format, True, {"style": "07"})


def test_a_bin_file_keeps_what_the_pairs_add_and_says_alpha_is_the_rank(every_kind, tmp_path):
    lora = load_lora(written(tmp_path, every_kind, "bin"))
    assert (lora.format, lora.alpha_known) == ("bin", False)
    for network, pairs in every_kind.items():
        for name, pair in pairs.items():
            assert lora.pairs[network][name].alpha == pair.rank
            np.testing.assert_allclose(lora.pairs[network][name].delta, pair.delta, rtol=1e-5, atol=1e-6)


def test_a_bin_file_of_alpha_equal_to_rank_is_exact(base, make_pairs, tmp_path):
    pairs = {"unet": make_pairs(layer_shapes(base.unet), ("to_q",), rank=4, alpha=4.0)}
    assert_same(load_lora(written(tmp_path, pairs, "bin")).pairs, pairs)


@pytest.mark.parametrize("format", FORMATS)
def test_rank_stabilised_scale_goes_into_every_format(format, base, make_pairs, tmp_path):
    pairs = make_pairs(layer_shapes(base.unet), ("to_k",), rank=3, alpha=5.0, rslora=True)
    found = load_lora(written(tmp_path, {"unet": pairs}, format)).pairs["unet"]
    assert found.keys() == pairs.keys()
    for name, pair in pairs.items():
        np.testing.assert_allclose(found[name].delta, 5 / np.sqrt(3) * (pair.b @ pair.a), rtol=1e-5, atol=1e-6)
        assert found[name].rslora == (format in ("diffusers", "peft"))


def test_half_precision_is_half_the_size_and_refuses_what_it_cannot_hold(every_kind, tmp_path):
    path = written(tmp_path, every_kind, "kohya", dtype="fp16")
    weights = [array for name, array in load_file(path).items() if not name.endswith(".alpha")]
    assert {array.dtype for array in weights} == {np.dtype(np.float16)}
    large = {"unet": {"mid_block.attentions.0.proj_in": LoraPair(np.full((1, 2), 1e5), np.ones((2, 1)), 1.0)}}
    with pytest.raises(UserError, match="not finite in fp16; take fp32"):
        written(tmp_path, large, "diffusers", dtype="fp16")


# Names


@pytest.mark.parametrize("preset", ["sd15", "sd21", "tiny"])
def test_every_layers_kohya_name_is_read_back(preset):
    from jdart.models.presets import PRESETS, build_network

    for network in ("unet", "text_encoder"):
        for layer in layer_shapes(build_network(network, PRESETS[preset][network])):
            found = parse(kohya_name(network, layer) + ".lora_up.weight")
            assert found == ("kohya", (network, layer, "B"))


def ldm_name(layer):
    """A diffusers name of an SD UNet's layer in the original LDM code, from that code's construction order."""
    table = {"conv_in": "input_blocks.0.0", "conv_out": "out.2"}
    table |= {"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2"}
    place = 1
    for level in range(4):
        for i in range(2):
            table[f"down_blocks.{level}.resnets.{i}"] = f"input_blocks.{place}.0"
            table[f"down_blocks.{level}.attentions.{i}"] = f"input_blocks.{place}.1"
            place += 1
        table[f"down_blocks.{level}.downsamplers.0.conv"] = f"input_blocks.{place}.0.op"
        place += 1
    table |= {f"mid_block.{k}": f"middle_block.{i}" for i, k in enumerate(("resnets.0", "attentions.0", "resnets.1"))}
    place = 0
    for level in range(4):
        for i in range(3):
            table[f"up_blocks.{level}.resnets.{i}"] = f"output_blocks.{place}.0"
            table[f"up_blocks.{level}.attentions.{i}"] = f"output_blocks.{place}.1"
            place += 1
        inner = 1 if level == 0 else 2  # the first level has no attention
        table[f"up_blocks.{level}.upsamplers.0.conv"] = f"output_blocks.{place - 1}.{inner}.conv"
    leaves = {"conv1": "in_layers.2", "conv2": "out_layers.3", "time_emb_proj": "emb_layers.1"}
    leaves["conv_shortcut"] = "skip_connection"
    head = max((key for key in table if layer == key or layer.startswith(key + ".")), key=len)
    rest = layer[len(head) + 1 :]
    return table[head] + (f".{leaves.get(rest, rest)}" if rest else "")


@pytest.mark.parametrize("preset", ["sd15", "sd21"])
def test_the_original_codes_names_are_read(preset):
    from jdart.models.presets import PRESETS, build_network

    layers = list(layer_shapes(build_network("unet", PRESETS[preset]["unet"])))
    assert len({ldm_name(layer) for layer in layers}) == len(layers)
    for layer in layers:
        name = "lora_unet_" + ldm_name(layer).replace(".", "_")
        assert parse(name + ".lora_down.weight") == ("kohya", ("unet", layer, "A")), name


@pytest.mark.parametrize(
    "name",
    [
        "lora_unet_down_blocks_0_nonsense.lora_down.weight",
        "lora_unet_down_blocks_0_.lora_down.weight",
        "lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight",
        "lora_unet_mid_block_attentions_0_proj_in.hada_w1_a",
        "lora_unet_mid_block_attentions_0_proj_in.dora_scale",
        "unet.mid_block.attentions.0.proj_in.lora_magnitude_vector",
        "base_model.model.conv_in.base_layer.weight",
    ],
)
def test_what_is_no_lora_is_named_not_guessed(name, tmp_path):
    torch.save({name: torch.zeros(2, 2)}, tmp_path / "x.bin")
    with pytest.raises(UserError, match="not LoRA tensors"):
        load_lora(tmp_path / "x.bin")


# diffusers and PEFT


def pipeline(base_folder):
    from diffusers import StableDiffusionPipeline

    return StableDiffusionPipeline.from_pretrained(base_folder)


@pytest.mark.parametrize("format", ["diffusers", "kohya", "bin"])
def test_diffusers_draws_the_same_with_our_file(
    format, base, base_folder, every_kind, unet_input, unet_output, text_output, tmp_path, close
):
    pipe = pipeline(base_folder)
    x, steps, text = (torch.tensor(part) for part in unet_input)
    ids = base.tokens(["an image of a dog"])
    path = written(tmp_path, every_kind, format)
    with torch.no_grad():
        plain = pipe.unet(x, steps, text).sample.numpy()
        pipe.load_lora_weights(tmp_path, weight_name=path.name)
        expected = pipe.unet(x, steps, text).sample.numpy()
        expected_text = pipe.text_encoder(torch.tensor(ids.astype(np.int64))).last_hidden_state.numpy()
    assert close(plain, expected) > 0.05
    with merged(base.unet, every_kind["unet"]), merged(base.text_encoder, every_kind["text_encoder"]):
        assert close(unet_output(), expected) < 1e-4
        assert close(text_output(ids), expected_text) < 1e-4


@pytest.mark.parametrize("rslora", [False, True])
def test_peft_loads_our_folder_and_we_load_pefts(
    rslora, base, base_folder, make_pairs, unet_input, unet_output, tmp_path, close
):
    from peft import PeftModel

    pairs = make_pairs(layer_shapes(base.unet), ("to_q", "conv1"), rslora=rslora)
    save_lora(tmp_path / "ours", LoraFile({"unet": pairs}), "peft")
    network = pipeline(base_folder).unet
    x, steps, text = (torch.tensor(part) for part in unet_input)
    model = PeftModel.from_pretrained(network, tmp_path / "ours" / "unet")
    with torch.no_grad():
        expected = model(x, steps, text).sample.numpy()
    with merged(base.unet, pairs):
        assert close(unet_output(), expected) < 1e-4
    model.save_pretrained(tmp_path / "theirs")
    lora = load_lora(tmp_path / "theirs")
    assert lora.format == "peft"
    assert_same(lora.pairs, {"unet": pairs, "text_encoder": {}})


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # PEFT's own way to ask transformers
def test_peft_folders_of_the_text_encoder_go_both_ways(base, base_folder, make_pairs, text_output, tmp_path, close):
    from peft import LoraConfig, PeftModel, get_peft_model

    pairs = make_pairs(layer_shapes(base.text_encoder), ("q_proj", "fc1"))
    ids = base.tokens(["an image of a dog"])
    network = pipeline(base_folder).text_encoder
    save_lora(tmp_path / "ours", LoraFile({"text_encoder": pairs}), "peft")
    model = PeftModel.from_pretrained(network, tmp_path / "ours" / "text_encoder")
    with torch.no_grad():
        expected = model(torch.tensor(ids.astype(np.int64))).last_hidden_state.numpy()
    with merged(base.text_encoder, pairs):
        assert close(text_output(ids), expected) < 1e-4
    fresh = get_peft_model(pipeline(base_folder).text_encoder, LoraConfig(r=2, target_modules=["q_proj"]))
    fresh.save_pretrained(tmp_path / "theirs")
    assert set(load_lora(tmp_path / "theirs").pairs["text_encoder"]) == {n for n in pairs if n.endswith("q_proj")}


# Alpha. Trap 8: trained with 4 and loaded with 2


def bare(folder, alpha=None):
    """A .bin of one layer of rank 2, with or without its alpha."""
    layer = "unet.mid_block.attentions.0.proj_in"
    state = {f"{layer}.lora.down.weight": torch.ones(2, 64), f"{layer}.lora.up.weight": torch.ones(64, 2)}
    if alpha is not None:
        state[f"{layer}.alpha"] = torch.tensor(alpha)
    torch.save(state, folder / "x.bin")
    return folder / "x.bin"


def test_alpha_can_be_told_to_a_file_that_does_not_say_it(tmp_path):
    convert(bare(tmp_path), tmp_path / "k.safetensors", "kohya", alpha=4.0)
    (pair,) = load_lora(tmp_path / "k.safetensors").pairs["unet"].values()
    assert (pair.alpha, pair.rank) == (4.0, 2)


def test_an_alpha_that_contradicts_the_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="its alpha is 1, not 4; leave --alpha out"):
        load_lora(bare(tmp_path, alpha=1.0), alpha=4.0)
    assert load_lora(bare(tmp_path, alpha=4.0), alpha=4.0).alpha_known


def test_alphas_of_pefts_patterns_are_those_of_their_layers(tmp_path):
    tensors = {}
    for layer in ("conv_in", "a.to_q", "b.to_q", "b.ato_q"):
        tensors[f"base_model.model.{layer}.lora_A.weight"] = np.ones((2, 4), np.float32)
        tensors[f"base_model.model.{layer}.lora_B.weight"] = np.ones((4, 2), np.float32)
    save_file(tensors, tmp_path / "adapter_model.safetensors")

    def read(**config):
        (tmp_path / "adapter_config.json").write_text(json.dumps({"lora_alpha": 3, **config}))
        return {name: pair.alpha for name, pair in load_lora(tmp_path).pairs["unet"].items()}

    assert read(alpha_pattern={"to_q": 7, "^conv_in": 1}) == {"conv_in": 1, "a.to_q": 7, "b.to_q": 7, "b.ato_q": 3}
    for wrong, word in (
        ({"alpha_pattern": {".*to_[qk]": 1}}, "more than a layer's name"),
        ({"use_dora": True}, "use_dora"),
        ({"peft_type": "LOHA"}, "LOHA"),
        ({"lora_alpha": "much"}, "no number"),
    ):
        with pytest.raises(UserError, match=word):
            read(**wrong)


# Files that are damaged, hostile or no LoRA


def pair_file(folder, a, b, **more):
    layer = "unet.mid_block.attentions.0.proj_in"
    save_file({f"{layer}.lora_A.weight": a, f"{layer}.lora_B.weight": b, **more}, folder / "x.safetensors")
    return folder / "x.safetensors"


@pytest.mark.parametrize(
    ("a", "b", "word"),
    [
        (np.full((2, 8), np.nan), np.zeros((8, 2)), "not finite"),
        (np.zeros((2, 8)), np.full((8, 2), np.inf), "not finite"),
        (np.zeros((3, 8)), np.zeros((8, 2)), "no pair"),
        (np.zeros((0, 8)), np.zeros((8, 0)), "no pair"),
        (np.zeros(8), np.zeros((8, 2)), "no pair"),
        (np.zeros((2, 8, 3, 3)), np.zeros((8, 2, 3, 3)), "no pair"),
        (np.zeros((2, 8, 3, 3)), np.zeros((8, 2)), "no pair"),
        (np.float32(1), np.float32(1), "no pair"),
    ],
)
def test_tensors_that_make_no_pair_are_refused(a, b, word, tmp_path):
    with pytest.raises(UserError, match=word):
        load_lora(pair_file(tmp_path, np.asarray(a, np.float32), np.asarray(b, np.float32)))


def test_an_alpha_that_is_not_finite_is_refused(tmp_path):
    with pytest.raises(UserError, match="not finite"):
        load_lora(bare(tmp_path, alpha=float("nan")))


def test_a_huge_alpha_is_refused_when_it_is_merged(base, tmp_path):
    pairs = load_lora(bare(tmp_path, alpha=3e38)).pairs["unet"]
    before = base.unet.mid_block.attentions[0].proj_in.weight.numpy()
    with pytest.raises(UserError, match=r"alpha 3e\+38 at rank 2.* too large"), merged(base.unet, pairs, 10.0):
        pass
    assert (base.unet.mid_block.attentions[0].proj_in.weight.numpy() == before).all()


def test_the_same_half_twice_is_refused(tmp_path):
    twice = {"unet.mid_block.attentions.0.proj_in.lora.down.weight": np.zeros((2, 8), np.float32)}
    with pytest.raises(UserError, match="twice"):
        load_lora(pair_file(tmp_path, np.zeros((2, 8), np.float32), np.zeros((8, 2), np.float32), **twice))


class Bomb:
    def __reduce__(self):
        return (exec, ("import pathlib; pathlib.Path('BOMB').write_text('executed')",))


@pytest.mark.filterwarnings("ignore")
def test_nothing_in_a_bin_file_is_executed(tmp_path, monkeypatch):
    import pickle

    monkeypatch.chdir(tmp_path)
    torch.save({"unet.a.lora_A.weight": Bomb()}, tmp_path / "zip.bin")
    (tmp_path / "old.bin").write_bytes(pickle.dumps({"a": Bomb()}))
    for name in ("zip.bin", "old.bin"):
        with pytest.raises(UserError):
            load_lora(tmp_path / name)
    assert not (tmp_path / "BOMB").exists()


@pytest.mark.parametrize("format", ["diffusers", "kohya", "bin"])
def test_a_file_cut_short_is_refused(format, every_kind, tmp_path):
    path = written(tmp_path, every_kind, format)
    whole = path.read_bytes()
    for length in (0, 7, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError):
            load_lora(path)


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({}, "no adapter_config.json"),
        ({"adapter_config.json": "{}"}, "no adapter_model.safetensors"),
        ({"adapter_config.json": "[]", "adapter_model.safetensors": ""}, "no JSON object"),
        ({"adapter_config.json": "{", "adapter_model.safetensors": ""}, "not valid JSON"),
        ({"adapter_config.json": "{}", "adapter_model.safetensors": ""}, "not a readable safetensors"),
    ],
)
def test_folders_that_peft_did_not_write(files, word, tmp_path):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=word):
        load_lora(tmp_path)


# jdart lora convert


def run(*arguments):
    result = CliRunner().invoke(main, ["lora", *map(str, arguments)])
    assert "Traceback" not in result.output
    return result


def test_convert_goes_round_all_formats_exactly(base_folder, every_kind, tmp_path):
    first = written(tmp_path, every_kind, "diffusers")
    steps = [("kohya", "1.safetensors"), ("peft", "2"), ("diffusers", "3.safetensors")]
    before = first
    for format, name in steps:
        result = run("convert", before, tmp_path / name, "--to", format, "--base", base_folder, "--json")
        assert result.exit_code == 0, result.output
        report = json.loads(result.output)
        assert len(report["matched"]) == report["layers"]
        assert report["left_over"] == []
        before = tmp_path / name
    assert before.read_bytes() == first.read_bytes()


def test_convert_writes_nothing_when_a_layer_is_left_over(every_kind, tmp_path):
    path = written(tmp_path, every_kind, "diffusers")
    result = run("convert", path, tmp_path / "out.safetensors", "--to", "kohya", "--arch", "sd21")
    assert result.exit_code == 1
    assert "left over" in result.output
    assert not (tmp_path / "out.safetensors").exists()


def test_convert_makes_1x1_kernels_matrices_where_the_base_has_linear_layers(base_folder, tmp_path):
    layer = "lora_unet_mid_block_attentions_0_proj_in"
    tensors = {
        f"{layer}.lora_down.weight": np.ones((2, 64, 1, 1), np.float32),
        f"{layer}.lora_up.weight": np.ones((64, 2, 1, 1), np.float32),
        f"{layer}.alpha": np.array(1, np.float32),
    }
    save_file(tensors, tmp_path / "old.safetensors")
    result = run(
        "convert", tmp_path / "old.safetensors", tmp_path / "n.safetensors", "--to", "kohya", "--base", base_folder
    )
    assert result.exit_code == 0, result.output
    assert load_file(tmp_path / "n.safetensors")[f"{layer}.lora_up.weight"].shape == (64, 2)


def test_convert_misuse_is_one_line(every_kind, tmp_path):
    path = written(tmp_path, every_kind, "diffusers")
    for arguments, word in (
        ([path, path, "--to", "kohya"], "there already"),
        ([path, tmp_path / "x.bin", "--to", "kohya"], "end in .safetensors"),
        ([path, tmp_path / "x.safetensors", "--to", "bin"], "end in .bin"),
        ([tmp_path / "no.bin", tmp_path / "x.bin", "--to", "bin"], "no such file"),
        ([path, tmp_path / "x.bin", "--to", "bin", "--arch", "sd99"], "unknown shape"),
    ):
        result = run("convert", *arguments)
        assert (result.exit_code, result.output.count("\n")) == (2, 1)
        assert word in result.output


def test_inspect_tells_format_convolutions_and_scaling(base, make_pairs, tmp_path):
    pairs = make_pairs(layer_shapes(base.unet), ("to_q", "conv1"), rslora=True)
    path = written(tmp_path, {"unet": pairs}, "diffusers")
    output = run("inspect", path).output
    assert "diffusers" in output
    assert "of them convolutions" in output
    assert "rsLoRA" in output
    assert "not in the file" in run("inspect", bare(tmp_path)).output
