"""Several LoRA files with weights at once, against diffusers and PEFT."""

import jittor as jt
import numpy as np
import pytest
import torch

from contest.errors import UserError
from jdart.generation.adapters import Adapter, adapted
from jdart.lora.formats.file import LoraFile
from jdart.lora.formats.writing import save_lora
from jdart.lora.pairs import LoraPair


@pytest.fixture
def outputs(base, rng):
    """The UNet's and the text encoder's output for a fixed input, ours and that of a diffusers pipeline."""
    x, text = rng.standard_normal((2, 4, 8, 8), np.float32), rng.standard_normal((2, 77, 32), np.float32)
    steps, ids = np.array([40, 900]), base.tokens(["an image of a dog"])

    def ours():
        with jt.no_grad():
            return base.unet(jt.array(x), steps, jt.array(text)).numpy(), base.text_encoder(jt.array(ids)).numpy()

    def theirs(pipe):
        with torch.no_grad():
            noise = pipe.unet(torch.tensor(x), torch.tensor(steps), torch.tensor(text)).sample
            return noise.numpy(), pipe.text_encoder(torch.tensor(ids.astype(np.int64))).last_hidden_state.numpy()

    return ours, theirs


def weights(base):
    return {
        f"{network}.{name}": p
        for network in ("unet", "text_encoder")
        for name, p in getattr(base, network).named_parameters()
    }


@pytest.mark.filterwarnings("ignore:Already found a `peft_config`:UserWarning")  # PEFT, of every second adapter
@pytest.mark.parametrize("order", [1, -1], ids=["in order", "the other way round"])
def test_weighted_files_add_up_as_in_diffusers(order, base, base_folder, write_lora, outputs, tmp_path, close):
    from diffusers import StableDiffusionPipeline

    ours, theirs = outputs
    parts = {"first": 0.7, "second": -0.3}
    files = {name: write_lora(tmp_path / f"{name}.safetensors", seed) for seed, name in enumerate(parts)}
    pipe = StableDiffusionPipeline.from_pretrained(base_folder)
    for name, path in files.items():
        pipe.load_lora_weights(tmp_path, weight_name=path.name, adapter_name=name)
    pipe.set_adapters(list(parts), list(parts.values()))
    expected = theirs(pipe)
    plain = ours()
    with adapted(base, [Adapter(files[name], weight) for name, weight in parts.items()][::order]):
        for found, wanted, before in zip(ours(), expected, plain):
            assert close(found, wanted) < 1e-4
            assert close(before, wanted) > 0.01
    for name in parts:  # each counts
        pipe.set_adapters(name, parts[name])
        assert all(close(one, both) > 0.01 for one, both in zip(theirs(pipe), expected))


def test_the_very_same_weights_are_back(base, write_lora, tmp_path):
    files = [write_lora(tmp_path / f"{seed}.safetensors", seed) for seed in (1, 2)]
    before = {name: p.numpy() for name, p in weights(base).items()}
    with adapted(base, [Adapter(files[0], 0.7), Adapter(files[1], -0.3)]):
        inside = {name: p.numpy() for name, p in weights(base).items()}
    assert sum((inside[name] != array).any() for name, array in before.items()) > 10
    after = {name: p.numpy() for name, p in weights(base).items()}
    assert all((after[name] == array).all() for name, array in before.items())


def test_they_are_back_after_an_error_too(base, write_lora, tmp_path):
    path = write_lora(tmp_path / "a.safetensors", 1)
    before = {name: p.numpy() for name, p in weights(base).items()}
    with pytest.raises(KeyboardInterrupt), adapted(base, [Adapter(path), Adapter(path)]):
        raise KeyboardInterrupt
    assert all((p.numpy() == before[name]).all() for name, p in weights(base).items())


def test_a_file_that_does_not_fit_is_named_and_nothing_stays(base, write_lora, tmp_path):
    good, odd = write_lora(tmp_path / "good.safetensors", 1), tmp_path / "odd.safetensors"
    wide = LoraPair(np.ones((2, 48), np.float32), np.ones((48, 2), np.float32), 2.0)
    save_lora(odd, LoraFile({"unet": {"mid_block.attentions.0.proj_in": wide}, "text_encoder": {}}))
    before = {name: p.numpy() for name, p in weights(base).items()}
    with pytest.raises(UserError) as caught, adapted(base, [Adapter(good), Adapter(odd)]):
        pass
    assert str(odd) in str(caught.value)
    assert str(good) not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert all((p.numpy() == before[name]).all() for name, p in weights(base).items())
