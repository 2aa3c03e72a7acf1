"""StyleBlend's two branches against attention processors in PyTorch, which keep two networks."""

import threading

import jittor as jt
import numpy as np
import pytest
import torch

from contest.errors import UserError
from jdart.config import GenerateConfig, StyleBlendConfig
from jdart.generation.adapters import Adapter, adapted
from jdart.generation.attention.layers import self_attentions
from jdart.generation.attention.requirements import middle
from jdart.generation.attention.styleblend import Blending, read_composition, two_branches
from jdart.generation.guided import Guided

SETTINGS = StyleBlendConfig(lora_weight=0.3, middle_first=0.3, middle_last=0.8)


def test_of_stable_diffusion_the_middle_ones_are_those_of_the_paper():
    from jdart.models.networks.unet_config import UNetConfig
    from jdart.models.presets import PRESETS

    names = self_attentions(UNetConfig.from_dict(PRESETS["sd21"]["unet"]))
    assert len(names) == 16
    assert [names.index(name) for name in middle(names, StyleBlendConfig())] == [4, 5, 6, 7, 8, 9]


def _with_torch(folder, lora, x, t, context, negative, guidance, middle_names, share):
    """One guided step of diffusers' UNet on [textures, compositions]: two networks, whose attentions meet by hand."""
    from diffusers import UNet2DConditionModel
    from safetensors.torch import load_file

    tensors = load_file(lora)
    networks = []
    for weight in (1.0, SETTINGS.lora_weight):
        unet = UNet2DConditionModel.from_pretrained(folder / "unet")
        state = unet.state_dict()
        for key in [key for key in tensors if key.startswith("unet.") and "lora_A" in key]:
            name = key[len("unet.") :].replace(".lora_A.weight", "")
            state[f"{name}.weight"] += weight * tensors[key.replace("lora_A", "lora_B")] @ tensors[key]
        networks.append(unet)
    wanted, given = {}, {}
    barrier, failed = threading.Barrier(2), []  # the branches wait for each other at every self-attention

    class Meeting:
        def __init__(self, name, branch):
            self.name, self.branch = name, branch

        def __call__(self, attn, hidden_states, encoder_hidden_states=None, **_):
            source = hidden_states if encoder_hidden_states is None else encoder_hidden_states
            q, k, v = attn.to_q(hidden_states), attn.to_k(source), attn.to_v(source)
            if encoder_hidden_states is None:
                given[self.branch] = (q, k, v)
                barrier.wait()
                other = given[1 - self.branch]
                barrier.wait()
                half = len(q) // 2  # [without text, with text]
                if self.name in middle_names and share < SETTINGS.queries_until and self.branch == 0:
                    q = torch.cat([other[0][half:]] * 2)
                if self.name not in middle_names and share < SETTINGS.keys_values_until and self.branch == 1:
                    k, v = (torch.cat([part[half:]] * 2) for part in other[1:])
            split = [part.unflatten(2, (attn.heads, -1)).transpose(1, 2) for part in (q, k, v)]
            weights = (split[0] @ split[1].transpose(2, 3) / split[0].shape[-1] ** 0.5).softmax(-1)
            return attn.to_out[0]((weights @ split[2]).transpose(1, 2).flatten(2))

    def run(branch):
        try:
            unet = networks[branch]
            unet.set_attn_processor({n: Meeting(n.replace(".processor", ""), branch) for n in unet.attn_processors})
            count = len(x) // 2
            rows = slice(branch * count, (branch + 1) * count)
            texts = torch.tensor(np.concatenate([negative[rows], context[rows]]))
            with torch.no_grad():
                out = unet(torch.tensor(np.concatenate([x[rows]] * 2)), t, texts).sample
            wanted[branch] = out[:count] + (out[count:] - out[:count]) * guidance
        except Exception as error:
            failed.append(error)
            barrier.abort()

    threads = [threading.Thread(target=run, args=(branch,)) for branch in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed
    return torch.cat([wanted[0], wanted[1]]).numpy()


@pytest.mark.parametrize("share", [0.0, 0.7, 0.9], ids=["both", "queries alone", "neither"])
def test_a_step_is_that_of_pytorch(share, base, base_folder, write_lora, tmp_path, rng, close):
    lora = write_lora(tmp_path / "lora.safetensors", 1, networks=("unet",))
    x = rng.standard_normal((4, 4, 8, 8)).astype(np.float32)  # two pictures: textures, compositions
    width = base.configs["text_encoder"].hidden_size
    context, negative = rng.standard_normal((2, 4, 77, width)).astype(np.float32)
    names = middle(self_attentions(base.configs["unet"]), SETTINGS)
    expected = _with_torch(base_folder, lora, x, 500, context, negative, 5.0, names, share)
    adapters = (Adapter(lora, 1.0),)
    composition = read_composition(base, ["a cat"], write_lora(tmp_path / "text.safetensors", 2), adapters)
    with jt.no_grad(), adapted(base, adapters), two_branches(base, composition, SETTINGS) as blending:
        blending.pictures, blending.share = 2, share
        guided = Guided(base, context, negative, GenerateConfig(guidance_scale=5.0), 1)
        ours = guided(jt.array(x), 500).numpy()
    assert close(ours, expected) < 1e-4
    with jt.no_grad(), adapted(base, adapters):
        alone = Guided(base, context, negative, GenerateConfig(guidance_scale=5.0), 1)(jt.array(x), 500).numpy()
    assert close(alone, expected) > 1e-2, "and the base is as it was"


def test_a_base_with_nothing_outside_the_middle_is_refused(base):
    with pytest.raises(UserError, match="middle_first, middle_last"):
        Blending(base, StyleBlendConfig(middle_first=0.0, middle_last=1.0), {})
