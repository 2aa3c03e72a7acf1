"""Every option of PEFT's LoraConfig: what is read means what PEFT makes of it, what is refused means something else."""

import dataclasses
import json

import numpy as np
import peft
import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file

from contest.errors import UserError
from jdart.lora.formats import peft_options
from jdart.lora.formats.peft_options import HARMLESS, READ, REFUSED, require_plain
from jdart.lora.formats.reading import load_lora

pytestmark = pytest.mark.filterwarnings("ignore")  # PEFT's advice on the options that are tried here
LINEAR = ["attn1.to_q", "attn2.to_k", "ff.net.2"]
SUBCONFIGS = {"velora_config": "VeloraConfig", "kasa_config": "KasaConfig", "use_bdlora": "BdLoraConfig"}
FIELDS = {field.name for field in dataclasses.fields(peft.LoraConfig)}

READ_CASES = {
    "plain": {},
    "random from the start": {"init_lora_weights": False},
    "gaussian": {"init_lora_weights": "gaussian"},
    "orthogonal": {"init_lora_weights": "orthogonal"},
    "eva": {"init_lora_weights": "eva"},
    "mica": {"init_lora_weights": "mica"},
    "rsLoRA": {"use_rslora": True, "lora_alpha": 3},
    "patterns": {
        "rank_pattern": {"ff.net.2": 2, "^mid_block.attentions.0.transformer_blocks.0.attn1.to_q": 6},
        "alpha_pattern": {r"attn2\.to_k": 9, "ff.net.2": 1},
        "lora_alpha": 3,
    },
    "rsLoRA with patterns": {"use_rslora": True, "rank_pattern": {"attn1.to_q": 2}, "alpha_pattern": {"attn2.to_k": 5}},
    "convolutions": {"target_modules": ["conv1", "conv_shortcut", "proj_in"], "lora_alpha": 7},
    "dropout": {"lora_dropout": 0.5},
    "stored transposed": {"fan_in_fan_out": True},
    "without some": {"exclude_modules": ["ff.net.2"]},
    "of some layers": {"layers_to_transform": [0], "layers_pattern": ["transformer_blocks"]},
    "VeLoRA": {"velora_config": {"num_groups": 4}},
    "tied": {"ensure_weight_tying": True},
    "parameters": {"target_modules": [], "target_parameters": ["ff.net.2.weight"]},
}
REFUSED_CASES = {
    "PiSSA": {"init_lora_weights": "pissa"},
    "fast PiSSA": {"init_lora_weights": "pissa_niter_4"},
    "OLoRA": {"init_lora_weights": "olora"},
    "KaSA": {"kasa_config": {}},
    "biases beside B": {"lora_bias": True, "target_modules": ["ff.net.2"]},
    "biases": {"bias": "lora_only", "target_modules": ["ff.net.2"]},
    "whole layers": {"modules_to_save": ["conv_out"]},
    "blocks": {"use_bdlora": {"target_modules_bd_a": ["to_q"], "nblocks": 2, "match_strict": False}},
}


def unet(base_folder):
    return UNet2DConditionModel.from_pretrained(base_folder / "unet")


def config(options):
    unknown = set(options) - FIELDS
    if unknown:
        pytest.skip(f"this PEFT has no {', '.join(unknown)}")
    made = dict(options)
    for name, kind in SUBCONFIGS.items():
        if name in made:
            made[name] = getattr(peft.tuners.lora.config, kind)(**made[name])
    try:
        return peft.LoraConfig(**{"r": 4, "lora_alpha": 6, "target_modules": LINEAR, **made})
    except ValueError as error:
        pytest.skip(f"this PEFT: {error}")


def begun(base_folder, options):
    torch.manual_seed(0)
    return peft.get_peft_model(unet(base_folder), config(options))


def trained(model):
    """The model with its adapter moved away from where it began, by the same numbers every time."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "lora_" in name or value.requires_grad:
                value += 0.05 * torch.randn_like(value)
    return model


def differences(base_folder, folder):
    """Name -> what PEFT, reading the folder on a fresh network, adds to its weights and biases."""
    plain = unet(base_folder).state_dict()
    merged = peft.PeftModel.from_pretrained(unet(base_folder), folder).merge_and_unload().state_dict()
    return {name: (merged[name] - value).numpy() for name, value in plain.items()}


def assert_ours_are(expected, pairs):
    changed = {name for name, delta in expected.items() if np.abs(delta).max() > 1e-6}
    assert changed == {f"{layer}.weight" for layer in pairs}
    for layer, pair in pairs.items():
        delta = expected[f"{layer}.weight"]
        assert np.abs(pair.fitted(delta.shape).delta - delta).max() < 1e-5 * max(1, np.abs(delta).max()), layer


@pytest.mark.parametrize("case", READ_CASES)
def test_what_is_read_is_what_peft_reloads(case, base_folder, tmp_path):
    model = trained(begun(base_folder, READ_CASES[case]))
    model.save_pretrained(tmp_path)
    assert_ours_are(differences(base_folder, tmp_path), load_lora(tmp_path).pairs["unet"])


@pytest.mark.parametrize("case", REFUSED_CASES)
def test_what_is_refused_would_be_read_wrongly(case, base_folder, tmp_path, monkeypatch):
    """It is refused from the settings, and by them alone B A would not be what PEFT makes of the file."""
    options = REFUSED_CASES[case]
    model = trained(begun(base_folder, options))
    model.save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"adapter_config\.json: the adapter .*; ") as error:
        load_lora(tmp_path)
    assert str(error.value).count("\n") == 0
    monkeypatch.setattr("jdart.lora.formats.reading.require_plain", lambda adapter: None)
    with pytest.raises((UserError, AssertionError, ValueError)):  # the last: of another shape
        assert_ours_are(differences(base_folder, tmp_path), load_lora(tmp_path).pairs["unet"])


@pytest.mark.parametrize("init", ["pissa", "olora"])
def test_the_cure_for_a_changed_base_makes_a_plain_lora(init, base_folder, tmp_path):
    model = begun(base_folder, {"init_lora_weights": init})
    model.peft_config["default"].init_lora_weights = True  # PEFT's guide: so that reloading leaves the base alone
    model.save_pretrained(tmp_path / "begun")
    model.peft_config["default"].init_lora_weights = init
    trained(model).save_pretrained(tmp_path / "done", path_initial_model_for_weight_conversion=str(tmp_path / "begun"))
    expected = differences(base_folder, tmp_path / "done")
    assert max(np.abs(delta).max() for delta in expected.values()) > 0.01
    assert_ours_are(expected, load_lora(tmp_path / "done").pairs["unet"])


def test_the_settings_beside_a_file_are_read_when_the_file_is_named(base_folder, tmp_path):
    trained(begun(base_folder, {})).save_pretrained(tmp_path)
    (alpha,) = {pair.alpha for pair in load_lora(tmp_path / "adapter_model.safetensors").pairs["unet"].values()}
    assert alpha == 6
    settings = json.loads((tmp_path / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps({**settings, "init_lora_weights": "olora"}))
    with pytest.raises(UserError, match="OLoRA"):
        load_lora(tmp_path / "adapter_model.safetensors")


def test_the_settings_that_diffusers_keeps_in_a_file_are_read(base_folder, tmp_path):
    from diffusers import StableDiffusionPipeline

    model = begun(base_folder, {"init_lora_weights": "pissa_niter_4"})
    tensors = peft.get_peft_model_state_dict(model)
    StableDiffusionPipeline.save_lora_weights(
        tmp_path,
        unet_lora_layers={name[len("base_model.model.") :]: value for name, value in tensors.items()},
        unet_lora_adapter_metadata=model.peft_config["default"].to_dict(),
    )
    with pytest.raises(UserError, match=r"PiSSA \(init_lora_weights: pissa_niter_4\).*path_initial_model_for_weight"):
        load_lora(tmp_path / "pytorch_lora_weights.safetensors")


def test_a_rank_that_the_settings_contradict_is_refused(base_folder, tmp_path):
    trained(begun(base_folder, {})).save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    half = {name: value[:2] if ".lora_A." in name else value[:, :2] for name, value in tensors.items()}
    save_file({name: value.contiguous() for name, value in half.items()}, tmp_path / "adapter_model.safetensors")
    with pytest.raises(RuntimeError, match="size mismatch"):
        differences(base_folder, tmp_path)
    with pytest.raises(UserError, match="its rank is 2, its settings say 4"):
        load_lora(tmp_path)


@pytest.mark.parametrize(
    ("said", "word"),
    [
        *(({"init_lora_weights": init}, "changes the base's weights too; ") for init in ("CorDA", "loftq", "lora_ga")),
        ({"init_lora_weights": "of next year"}, "not known here"),
        ({"init_lora_weights": 3}, "not known here"),
        *(({name: [1]}, rf"\({name}\); ") for name in REFUSED),
        ({"peft_type": "LOKR"}, "LOKR, not LORA"),
    ],
)
def test_every_refusal_tells_the_setting_and_a_cure(said, word):
    with pytest.raises(UserError, match=word):
        require_plain({"peft_type": "LORA", **said})


def test_every_default_is_plain():
    require_plain(json.loads(json.dumps(peft.LoraConfig().to_dict(), default=list)))


def test_every_field_of_the_installed_peft_is_named():
    new = sorted(FIELDS - set(READ) - set(HARMLESS) - set(REFUSED))
    assert not new, (
        f"PEFT {peft.__version__} has new settings in LoraConfig: {', '.join(new)}. Say in {peft_options.__name__} for "
        "each whether it changes what a file means (READ, REFUSED) or not (HARMLESS), and add a case above"
    )


def test_a_setting_of_a_newer_peft_is_logged(caplog):
    require_plain({"of_next_year": 3, "switched_off": False})
    assert caplog.messages == [
        "the adapter's settings say of_next_year: 3, which is not known here; it is read without"
    ]
