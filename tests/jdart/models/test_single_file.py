"""Single-file checkpoints against diffusers' own conversion, other kinds refused, nothing executed."""

import json
import os
import pickle
import shutil
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders import single_file_utils as theirs
from original_names import as_one_file, checkpoint, drawn, presets, vae
from safetensors.numpy import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

from contest.disk.files import read_json
from contest.errors import UserError
from jdart.config import BaseConfig
from jdart.models.build import Base
from jdart.models.encode import encode_text
from jdart.models.hub.locate import locate, locate_vae, open_base, require_base
from jdart.models.presets import PRESETS, write_base

PARTS = ("unet", "vae", "text_encoder")
CONV = "model.diffusion_model.input_blocks.0.0.weight"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JDART_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def tensors():
    return {version: checkpoint(version) for version in (1, 2)}


def saved(tmp_path, tensors, name="model.safetensors", **metadata):
    path = tmp_path / name
    save_file(tensors, path, metadata=metadata or None)
    return str(path)


def opened(**settings):
    return open_base(BaseConfig(**settings))[0]


def weights(folder, part):
    return load_file(next((folder / part).glob("*.safetensors")))


def equal(ours, other):
    assert set(ours) == set(other)
    for name, tensor in other.items():
        np.testing.assert_array_equal(ours[name], np.asarray(tensor), err_msg=name)


@pytest.mark.parametrize("version", [1, 2])
def test_a_checkpoint_becomes_what_diffusers_makes_of_it(tmp_path, tensors, version):
    path = saved(tmp_path, tensors[version])
    folder, commit = locate(path, None)
    torched = {name: torch.from_numpy(array) for name, array in tensors[version].items()}
    unet = UNet2DConditionModel.from_config(read_json(folder / "unet" / "config.json"))
    converted = theirs.convert_ldm_unet_checkpoint(torched, unet.config)
    equal(weights(folder, "unet"), converted)
    unet.load_state_dict(converted)
    auto = AutoencoderKL.from_config(read_json(folder / "vae" / "config.json"))
    converted = theirs.convert_ldm_vae_checkpoint(torched, auto.config)
    equal(weights(folder, "vae"), converted)
    auto.load_state_dict(converted)
    text = CLIPTextModel(CLIPTextConfig.from_dict(read_json(folder / "text_encoder" / "config.json")))
    if version == 1:
        converted = theirs.convert_ldm_clip_checkpoint(torched)
    else:
        converted = theirs.convert_open_clip_checkpoint(text, torched)
        left_out = [name for name in converted if ".layers.2." in name]
        assert len(left_out) == 16  # diffusers leaves the last one out by its number in a tower of 24
        for name in left_out:
            del converted[name]
    equal(weights(folder, "text_encoder"), converted)
    assert commit is None
    assert unet.config.attention_head_dim == (8 if version == 1 else [1, 2])
    assert locate(path, None)[0] == folder  # made once


@pytest.mark.parametrize("version", [1, 2])
def test_a_folder_as_one_file_is_the_same_base_to_the_hash(tmp_path, monkeypatch, version):
    monkeypatch.setitem(PRESETS, "one", presets(version))
    write_base(tmp_path / "folder", "one", seed=1)
    folder = Base(tmp_path / "folder")
    one = opened(model=saved(tmp_path, as_one_file(folder.folder, version)))
    one.require_match()
    assert one.identity == folder.identity
    assert (one.configs, one.schedule.prediction_type) == (folder.configs, folder.schedule.prediction_type)
    prompts = ["a photo of a dog", "lots " * 80]
    padded = one.tokens(prompts)
    assert (padded[0, -1] == (49407 if version == 1 else 0)).all()
    np.testing.assert_array_equal(padded[1], folder.tokens(prompts)[1])


def test_clip_skip_reads_the_layers_that_diffusers_does(tmp_path, close):
    path = saved(tmp_path, checkpoint(2, layers=3))
    text = CLIPTextModel.from_pretrained(opened(model=path).folder / "text_encoder", attn_implementation="eager").eval()
    inner = getattr(text, "text_model", text)
    for skip in (0, 1, 2):
        base = opened(model=path, clip_skip=skip)
        base.require_match()
        ids = base.tokens(["a photo of a dog"])
        with torch.no_grad():
            hidden = text(torch.from_numpy(ids.astype(np.int64)), output_hidden_states=True).hidden_states[-(skip + 1)]
            assert close(encode_text(base, ids), inner.final_layer_norm(hidden).numpy()) < 1e-4
    with pytest.raises(UserError, match=r"base\.clip_skip: 3: the text encoder has 3 layers"):
        opened(model=path, clip_skip=3).require_match()


class Code:
    def __reduce__(self):
        return os.mkdir, ("executed",)


@pytest.mark.parametrize("how", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "legacy"])
def test_a_ckpt_is_read_and_nothing_in_it_is_called(tmp_path, monkeypatch, tensors, how):
    monkeypatch.chdir(tmp_path)
    framework = ModuleType("pytorch_lightning")
    framework.Callback = type("Callback", (), {"__module__": "pytorch_lightning"})
    beside = framework.Callback()
    beside.best = {"score": torch.zeros(2)}
    state = {name: torch.from_numpy(array) for name, array in tensors[2].items()}
    with monkeypatch.context() as there:
        there.setitem(sys.modules, "pytorch_lightning", framework)
        torch.save({"state_dict": state, "global_step": 875000, "callbacks": {"a": beside}}, "a.ckpt", **how)
    folder, _ = locate("a.ckpt", None)
    whole, _ = locate(saved(tmp_path, tensors[2]), None)
    for part in PARTS:
        equal(weights(folder, part), weights(whole, part))
    assert opened(model="a.ckpt").schedule.prediction_type == "epsilon"  # as global_step says
    torch.save({"state_dict": state, "callbacks": {"a": Code()}}, "bad.ckpt", **how)
    for look in (lambda: locate("bad.ckpt", None), lambda: require_base(BaseConfig(model="bad.ckpt"))):
        with pytest.raises(UserError, match=r"asks to call '(posix|nt)\.mkdir'.*nothing was run: .*take the model as"):
            look()
    assert not (tmp_path / "executed").exists()
    pickle.loads(pickle.dumps(Code()))  # what another reader would have done
    assert (tmp_path / "executed").exists()


def test_half_precision_stays_half_precision(tmp_path, tensors):
    half = {name: array.astype(np.float16) for name, array in tensors[1].items()}
    folder, _ = locate(saved(tmp_path, half), None)
    assert {array.dtype for part in PARTS for array in weights(folder, part).values()} == {np.dtype(np.float16)}


@pytest.mark.parametrize(("version", "metadata", "extra", "expected", "assumed"), [
    (1, {}, [], "epsilon", False),
    (2, {}, [], "v_prediction", True),
    (2, {"modelspec.prediction_type": "epsilon"}, [], "epsilon", False),
    (1, {}, ["v_pred", "ztsnr"], "v_prediction", False),
])  # fmt: skip
def test_what_it_predicts_is_read_or_assumed_and_can_be_set(
    tmp_path, tensors, version, metadata, extra, expected, assumed
):
    marks = {name: np.zeros(1, np.float32) for name in extra}
    path = saved(tmp_path, {**tensors[version], **marks}, **metadata)
    base = opened(model=path)
    assert base.schedule.prediction_type == expected
    assert base.schedule.ends_in_noise is ("ztsnr" in extra)
    assert read_json(base.folder / "single_file.json")["assumed"] is assumed
    other = opened(model=path, prediction_type="v_prediction", timestep_spacing="trailing", rescale_betas_zero_snr=True)
    assert (other.schedule.prediction_type, other.schedule.timestep_spacing) == ("v_prediction", "trailing")
    assert other.schedule.ends_in_noise
    with pytest.raises(UserError, match=r"set one of the two otherwise: base\.prediction_type"):
        _ = opened(model=path, prediction_type="epsilon", rescale_betas_zero_snr=True).schedule


def test_a_vae_of_its_own_file_goes_in_and_its_hash_is_the_base_s(tmp_path, tensors):
    path = saved(tmp_path, tensors[1])
    bare = {n.removeprefix("first_stage_model."): a + 1 for n, a in tensors[1].items() if n.startswith("first_stage")}
    other = saved(tmp_path, {**bare, "loss.discriminator.weight": np.ones(3, np.float32)}, "vae.safetensors")
    plain, swapped = opened(model=path), opened(model=path, vae=other)
    swapped.require_match()
    require_base(swapped.config)
    assert swapped.identity != plain.identity
    bias = tensors[1]["first_stage_model.quant_conv.bias"]
    np.testing.assert_array_equal(swapped.vae.quant_conv.bias.numpy(), bias + 1)
    file = next((plain.folder / "vae").glob("*.safetensors"))  # in diffusers' names, its config.json beside it
    for same in (path, plain.folder, plain.folder / "vae", file):
        assert opened(model=path, vae=str(same)).identity == plain.identity
    without = saved(
        tmp_path, {n: a for n, a in tensors[1].items() if not n.startswith("first_stage")}, "no.safetensors"
    )
    for look in (opened, lambda **settings: require_base(BaseConfig(**settings))):
        with pytest.raises(UserError, match=r"holds no VAE; name one as base\.vae"):
            look(model=without)
    assert opened(model=without, vae=other).identity == swapped.identity


def test_a_vae_of_another_shape_is_refused(tmp_path, tensors):
    path = saved(tmp_path, tensors[1])
    rng = np.random.default_rng(0)
    wide = saved(tmp_path, {name: drawn(rng, shape) for name, shape in vae(16, "").items()}, "wide.safetensors")
    for look in (locate_vae, lambda name: require_base(BaseConfig(model=path, vae=name))):
        with pytest.raises(UserError, match="a VAE whose latents have 16 channels where .* have 4; name one of theirs"):
            look(wide)
        with pytest.raises(UserError, match=r"base\.vae: .*: no VAE; name a folder with its config\.json"):
            look(str(tmp_path))
        with pytest.raises(UserError, match=r"base\.vae: .*absent\.ckpt: no such file"):
            look("absent.ckpt")
    deep = tmp_path / "deep"
    shutil.copytree(opened(model=path).folder / "vae", deep)
    settings = json.loads((deep / "config.json").read_text())
    settings["block_out_channels"] += [64]
    (deep / "config.json").write_text(json.dumps(settings))
    with pytest.raises(UserError, match=r"base\.vae: .*deep: 4 pixels a latent, and .* has 2; take a VAE of its kind"):
        opened(model=path, vae=str(deep)).require_match()


@pytest.mark.parametrize(("names", "words"), [
    (["lora_unet_down_blocks_0.lora_down.weight"], "a LoRA file.*generate.loras"),
    (["conditioner.embedders.1.model.ln_final.weight", CONV], "SDXL, not"),
    (["model.diffusion_model.joint_blocks.0.x"], "Stable Diffusion 3, not"),
    (["double_blocks.0.img_attn.qkv.weight"], "Flux or one of its kind, not"),
    (["encoder_hid_proj.weight", "down_blocks.0.x"], "Kolors, not"),
    (["down_blocks.0.resnets.0.conv1.weight"], "one part of a base in diffusers' names.*name the folder"),
    (["text_model.encoder.layers.0.mlp.fc1.weight"], "a text encoder alone.*name the folder"),
    (["decoder.mid.block_1.conv1.weight"], "a VAE alone; name it as base.vae"),
    ([CONV], "holds no text encoder; take the whole"),
    ([CONV, "cond_stage_model.transformer.text_model.x"], "is missing or has no such shape.*fetch the file again"),
    (["something.else"], "no Stable Diffusion 1 or 2 under its original names .something.else.*take a checkpoint"),
])  # fmt: skip
def test_other_kinds_are_called_by_their_names(tmp_path, names, words):
    path = saved(tmp_path, {name: np.zeros((4, 4, 3, 3), np.float32) for name in names})
    with pytest.raises(UserError, match=words) as caught:
        locate(path, None)
    assert "\n" not in str(caught.value)
    if "missing" not in words:  # which is found where shapes are looked at
        with pytest.raises(UserError, match=words):
            require_base(BaseConfig(model=path))
    assert list((tmp_path / "cache").glob("*/*")) == []


@pytest.mark.parametrize(("channels", "words"), [
    (9, "an inpainting model, whose UNet takes 9 channels"), (5, "looks at depth"), (7, "an upscaler"), (8, "edits"),
])  # fmt: skip
def test_other_unets_are_refused(tmp_path, channels, words):
    path = saved(tmp_path, {CONV: np.zeros((64, channels, 3, 3), np.float32)})
    with pytest.raises(UserError, match=f"{words}.*; take a checkpoint of"):
        locate(path, None)


@pytest.mark.parametrize(("name", "data", "words"), [
    ("a.safetensors", b"A long text, and no header.", "it is a text file"),
    ("a.ckpt", b"A long text, and no pickle.", "it is a text file"),
    ("a.ckpt", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    ("a.ckpt", b"", "it is empty"),
    ("a.ckpt", b"PK\x03\x04 and no more", "not a PyTorch file"),
    ("a.ckpt", pickle.dumps({"a": 1}), "not a"),
    ("a.txt", b"A text.", "neither a folder nor a checkpoint .*; name one of these"),
])  # fmt: skip
def test_what_is_no_checkpoint_is_told_in_a_line(tmp_path, name, data, words):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=words) as caught:
        locate(str(tmp_path / name), None)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
def test_programs_are_not_loaded(tmp_path):
    module = torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2))
    torch.jit.save(module, tmp_path / "a.pt")
    with pytest.raises(UserError, match="TorchScript, not plain tensors; take another file"):
        locate(str(tmp_path / "a.pt"), None)
    shutil.make_archive(str(tmp_path / "b"), "tar", tmp_path, "a.pt")
    (tmp_path / "b.tar").rename(tmp_path / "b.ckpt")
    with pytest.raises(UserError, match="a tar archive, not plain tensors; take another file"):
        locate(str(tmp_path / "b.ckpt"), None)


def test_a_repository_s_folder_in_the_hub_s_cache_is_its_snapshot(tmp_path, base_folder):
    hub = tmp_path / "models--someone--tiny"
    (hub / "refs").mkdir(parents=True)
    (hub / "snapshots").mkdir()
    with pytest.raises(UserError, match="no snapshot in it; fetch the model again"):
        locate(str(hub), None)
    (hub / "snapshots" / "aaa").symlink_to(base_folder)
    assert locate(str(hub), None) == (hub / "snapshots" / "aaa", "aaa")  # the only one
    (hub / "snapshots" / "bbb").symlink_to(base_folder)
    with pytest.raises(UserError, match=r"no refs/main; set base\.revision to one that is there: aaa, bbb"):
        locate(str(hub), None)
    assert locate(str(hub), "aaa") == (hub / "snapshots" / "aaa", "aaa")
    (hub / "refs" / "main").write_text("bbb\n")
    base, revision = open_base(BaseConfig(model=str(hub), vae=str(hub)))
    assert revision == "bbb" and base.folder.name == "bbb"
    assert base.identity == Base(base_folder).identity
    with pytest.raises(UserError, match="no snapshot ccc; set base.revision"):
        locate(str(hub), "ccc")


def test_settings_of_the_base_are_checked():
    for settings, words in (
        ({"clip_skip": -1}, "clip_skip: -1"),
        ({"prediction_type": "v"}, "prediction_type: 'v'; there are epsilon, v_prediction"),
        ({"timestep_spacing": "even"}, "timestep_spacing: 'even'; there are leading"),
        ({"vae": ""}, "vae: name a folder"),
    ):
        with pytest.raises(ValueError, match=words):
            BaseConfig(**settings)
