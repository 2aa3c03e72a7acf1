"""LoRAs whose rank falls with the noise, against T-LoRA's formulas in PyTorch and diffusers with fewer ranks."""

import dataclasses
from pathlib import Path

import jittor as jt
import numpy as np
import pytest
import torch

from contest.errors import UserError
from jdart.config import LoraConfig, from_mapping
from jdart.config.sections.lora import RankByNoise
from jdart.generation.adapters import Adapter, adapted
from jdart.lora.formats.file import LoraFile
from jdart.lora.formats.reading import load_lora
from jdart.lora.formats.writing import save_lora
from jdart.lora.layers import inject, remove
from jdart.lora.noise_ranks import Falling, masked, merged_by_noise
from jdart.lora.pairs import LoraPair
from jdart.lora.rank_by_noise import note_of, rank_at, rule_of

RULE = RankByNoise(2, 1.5)
TIMESTEPS = np.array([0, 350, 600, 999])


def published_rank(t, rank, rule, count=1000):
    """As T-LoRA's authors compute it, for one timestep."""
    return int(((count - t) / count) ** rule.alpha * (rank - rule.min)) + rule.min


def published_mask(rank):
    """Of the four pictures, (4, rank)."""
    mask = torch.zeros(len(TIMESTEPS), rank)
    for row, t in enumerate(TIMESTEPS.tolist()):
        mask[row, : published_rank(t, rank, RULE)] = 1.0
    return mask


@pytest.fixture
def call(rng):
    """Four pictures at four noise levels, and their text."""
    return rng.standard_normal((4, 4, 8, 8), np.float32), rng.standard_normal((4, 77, 32), np.float32)


@pytest.mark.parametrize("rule", [RankByNoise(1), RankByNoise(8, 2.5), RankByNoise(16), RankByNoise(3, 0.2)])
def test_the_rank_is_that_of_the_paper(rule):
    found = rank_at(rule, 16, np.arange(1000), 1000)
    assert found.tolist() == [published_rank(t, 16, rule) for t in range(1000)]
    assert (found[0], found[-1]) == (16, rule.min + int(0.001**rule.alpha * (16 - rule.min)))
    assert (np.diff(found) <= 0).all()


@pytest.mark.parametrize("kind", ["linear", "convolution"])
def test_a_layers_output_and_gradients_are_those_of_the_formula(kind, base, rng, close):
    """W x + s B (mask * A x), each picture with the mask of its own timestep, written down in PyTorch."""
    target = "time_emb_proj" if kind == "linear" else "conv1"
    settings = LoraConfig(r=6, lora_alpha=3.0, target_modules=("down_blocks.0.resnets.0." + target,))
    adapters = inject(base.unet, settings, rng)
    (adapter,) = adapters.values()
    adapter.lora_B.assign(jt.array(rng.standard_normal(adapter.lora_B.shape).astype(np.float32)))
    width = adapter.width
    x = rng.standard_normal((4, width) if kind == "linear" else (4, width, 6, 5)).astype(np.float32)
    with masked(base.unet, adapters, RULE, 1000):
        base.unet.listeners[0].heed(TIMESTEPS)
        ours = adapter(jt.array(x))
        grads = jt.grad((ours * ours).sum(), [adapter.lora_A, adapter.lora_B])

    def theirs(a, b):
        weight, bias = (torch.tensor(v.numpy()) for v in (adapter.layer.weight, adapter.layer.bias))
        mask = published_mask(6)
        if kind == "linear":
            down = torch.nn.functional.linear(torch.tensor(x), a) * mask
            return torch.nn.functional.linear(torch.tensor(x), weight, bias) + 0.5 * torch.nn.functional.linear(down, b)
        down = torch.nn.functional.conv2d(torch.tensor(x), a, padding=1) * mask[:, :, None, None]
        plain = torch.nn.functional.conv2d(torch.tensor(x), weight, bias, padding=1)
        return plain + 0.5 * torch.nn.functional.conv2d(down, b)

    a, b = (torch.tensor(v.numpy(), requires_grad=True) for v in (adapter.lora_A, adapter.lora_B))
    wanted = theirs(a, b)
    (wanted**2).sum().backward()
    assert close(ours.numpy(), wanted.detach().numpy()) < 1e-5
    for found, side in zip(grads, (a, b)):
        assert close(found.numpy(), side.grad.numpy()) < 1e-5
    remove(base.unet, adapters)


def random_pairs(base, rng, rank=6, ends=("to_q", "to_v", "conv1", "time_emb_proj", "proj_in")):
    from jdart.lora.merge import layer_shapes

    found = {}
    for name, shape in layer_shapes(base.unet).items():
        if name.endswith(ends):
            a = 0.3 * rng.standard_normal((rank, *shape[1:])).astype(np.float32)
            b = 0.3 * rng.standard_normal((shape[0], rank, *[1] * (len(shape) - 2))).astype(np.float32)
            found[name] = LoraPair(a, b, 3.0)
    return found


def output(base, call, rows=slice(None)):
    x, text = call
    with jt.no_grad():
        return base.unet(jt.array(x[rows]), TIMESTEPS[rows], jt.array(text[rows])).numpy()


def test_drawing_is_what_diffusers_does_with_the_ranks_that_count(base, base_folder, rng, call, tmp_path, close):
    """At each noise level: a LoRA file of the first ranks alone, with the same scale, loaded by diffusers."""
    from diffusers import StableDiffusionPipeline

    pairs = random_pairs(base, rng, ends=("to_q", "to_v", "to_out.0"))
    path = tmp_path / "falling.safetensors"
    save_lora(path, LoraFile({"unet": pairs}, note_of(RULE)))
    x, text = call
    seen = []
    plain = output(base, call)
    with adapted(base, [Adapter(path, 0.7)]):
        for row, t in [*enumerate(TIMESTEPS.tolist()), (0, 0)]:  # and back to where it was
            rank = published_rank(t, 6, RULE)
            fewer = {n: LoraPair(p.a[:rank], p.b[:, :rank], 3.0 * rank / 6) for n, p in pairs.items()}
            save_lora(tmp_path / f"{rank}.safetensors", LoraFile({"unet": fewer}))
            pipe = StableDiffusionPipeline.from_pretrained(base_folder)
            pipe.load_lora_weights(tmp_path, weight_name=f"{rank}.safetensors", adapter_name="a")
            pipe.set_adapters("a", 0.7)
            with torch.no_grad():
                one = slice(row, row + 1)
                wanted = pipe.unet(torch.tensor(x[one]), torch.tensor([t]), torch.tensor(text[one])).sample.numpy()
            found = output(base, call, one)
            assert close(found, wanted) < 1e-4
            assert close(plain[one], wanted) > 0.01
            seen.append(rank)
    assert seen == [6, 4, 3, 2, 6]
    assert base.unet.listeners == []
    assert (output(base, call) == plain).all()


def test_training_and_drawing_agree_at_every_noise_level(base, rng, call, close):
    """Masks of each picture in one batch, against weights that are set for one noise level after the other."""
    pairs = random_pairs(base, rng)
    settings = LoraConfig(r=6, lora_alpha=3.0, target_modules=tuple(pairs))
    adapters = inject(base.unet, settings, rng, pairs)
    with masked(base.unet, adapters, RULE, 1000):
        trained = output(base, call)
    whole = output(base, call)
    remove(base.unet, adapters)
    with merged_by_noise(base.unet, [Falling(Path("x"), pairs, 1.0, RULE)], 1000):
        drawn = np.concatenate([output(base, call, slice(row, row + 1)) for row in range(4)])
        with pytest.raises(ValueError, match="in one call"):
            output(base, call)
    assert close(drawn, trained) < 1e-5
    assert close(whole[0], trained[0]) < 1e-6, "without noise every rank counts"
    assert close(whole[3], trained[3]) > 0.01


def test_gradient_checkpointing_keeps_the_masks(base, rng, call, close):
    from jdart.models.recompute import recomputed

    x, text = call
    pairs = random_pairs(base, rng)
    adapters = inject(base.unet, LoraConfig(r=6, lora_alpha=3.0, target_modules=tuple(pairs)), rng, pairs)
    sides = [side for adapter in adapters.values() for side in (adapter.lora_A, adapter.lora_B)]
    found = []
    for within in (False, True):
        with masked(base.unet, adapters, RULE, 1000):
            if within:
                with recomputed(base.unet):
                    result = base.unet(jt.array(x), TIMESTEPS, jt.array(text))
                    found.append([g.numpy() for g in jt.grad((result * result).sum(), sides)])
            else:
                result = base.unet(jt.array(x), TIMESTEPS, jt.array(text))
                found.append([g.numpy() for g in jt.grad((result * result).sum(), sides)])
    remove(base.unet, adapters)
    assert max(close(one, other) for one, other in zip(*found) if np.abs(other).max() > 1e-6) < 1e-3


def test_several_files_add_up_whatever_their_rules(base, rng, call, tmp_path, close):
    """Two that fall otherwise and a plain one, in either order: the sum of what each adds."""
    rules = (RULE, RankByNoise(1), None)
    every = [random_pairs(base, rng, rank) for rank in (6, 4, 2)]
    files = []
    for number, (pairs, rule) in enumerate(zip(every, rules)):
        files.append(Adapter(tmp_path / f"{number}.safetensors", 0.5 + number))
        save_lora(files[-1].path, LoraFile({"unet": pairs}, note_of(rule)))
    rank = {6: published_rank(600, 6, RULE), 4: published_rank(600, 4, RankByNoise(1)), 2: 2}
    cut = []
    for file, pairs in zip(files, every):
        kept = {
            n: LoraPair(p.a[: rank[p.rank]], p.b[:, : rank[p.rank]], p.scale * rank[p.rank]) for n, p in pairs.items()
        }
        cut.append(Adapter(tmp_path / f"cut {file.path.name}", file.weight))
        save_lora(cut[-1].path, LoraFile({"unet": kept}))
    with adapted(base, cut):
        wanted = output(base, call, slice(2, 3))
    for order in (1, -1):
        with adapted(base, files[::order]):
            assert close(output(base, call, slice(2, 3)), wanted) < 1e-5


def test_a_file_that_does_not_fit_is_named_and_nothing_is_changed(base, rng, call, tmp_path):
    before = output(base, call)
    path = tmp_path / "odd.safetensors"
    odd = {"mid_block.attentions.0.proj_in": LoraPair(np.ones((2, 5), np.float32), np.ones((5, 2), np.float32), 2.0)}
    save_lora(path, LoraFile({"unet": odd}, note_of(RankByNoise(1))))
    with pytest.raises(UserError, match="odd.safetensors: .*does not fit"), adapted(base, [Adapter(path)]):
        pass
    assert base.unet.listeners == []
    assert (output(base, call) == before).all()


def test_weights_follow_the_noise_inside_what_is_put_around_a_layer(base, rng, call, close):
    """Methods of drawing put modules around layers, after the LoRAs are merged."""
    from jittor import nn

    from jdart.models.paths import at, put

    class Around(nn.Module):
        def __init__(self, layer):
            self.layer = layer

        def execute(self, x):
            return self.layer(x)

    pairs = random_pairs(base, rng, ends=("attn1.to_q",))
    with merged_by_noise(base.unet, [Falling(Path("x"), pairs, 1.0, RULE)], 1000):
        wanted = [output(base, call, slice(row, row + 1)) for row in (0, 3)]
        layers = {name: at(base.unet, name) for name in pairs}
        for name, layer in layers.items():
            put(base.unet, name, Around(layer))
        found = [output(base, call, slice(row, row + 1)) for row in (0, 3)]
        for name, layer in layers.items():
            put(base.unet, name, layer)
    assert all(close(one, other) < 1e-6 for one, other in zip(found, wanted))


def test_styleblend_refuses_it(base, rng, tmp_path):
    from jdart.config import StyleBlendConfig
    from jdart.generation.attention.styleblend import Composition, two_branches

    path = tmp_path / "x.safetensors"
    save_lora(path, LoraFile({"unet": random_pairs(base, rng)}, note_of(RULE)))
    composition = Composition(path, {}, (Adapter(path),))
    refused = pytest.raises(UserError, match="rank falls with the noise")
    with refused, two_branches(base, composition, StyleBlendConfig()):
        pass


@pytest.mark.parametrize("note", [3, {"min": 0}, {"alpha": 1.0}, {"min": 1, "beta": 2}, {"min": "a"}])
def test_a_damaged_note_is_named(note, base, rng, tmp_path):
    path = tmp_path / "x.safetensors"
    save_lora(path, LoraFile({"unet": random_pairs(base, rng)}, {"rank_by_noise": note}))
    with pytest.raises(UserError, match=r"x\.safetensors: its note rank_by_noise is damaged"):
        rule_of(load_lora(path).settings, path)


@pytest.mark.parametrize(
    ("lora", "words"),
    [
        ({"r": 4, "rank_by_noise": {"min": 5}}, "lora.rank_by_noise.min: 5 is above rank 4"),
        ({"r": 4, "rank_pattern": {"to_q": 2}, "rank_by_noise": {"min": 3}}, "is above rank 2"),
        ({"rank_by_noise": {"min": 0}}, "lora.rank_by_noise.min: 0 is below 1"),
        ({"rank_by_noise": {"min": 1, "alpha": 0.0}}, "alpha: 0.0 is not in"),
        ({"rank_by_noise": {"alpha": 2.0}}, "lora.rank_by_noise.min: must be set"),
        ({"rank_by_noise": {"min": 1}, "use_dora": True}, "set one of the two"),
    ],
)
def test_rules_that_cannot_be_are_refused_in_a_line(lora, words):
    with pytest.raises(UserError) as error:
        from_mapping({"lora": lora})
    assert words in str(error.value) and "\n" not in str(error.value)


def test_the_text_encoder_has_no_noise():
    with pytest.raises(UserError, match="texts are encoded without noise"):
        from_mapping({"text_encoder_lora": {"r": 2, "rank_by_noise": {"min": 1}}})


def test_a_packed_lora_keeps_the_share_of_its_ranks():
    packed = LoraConfig(r=4, rank_by_noise=RULE).times(3)
    assert (packed.r, packed.rank_by_noise) == (12, dataclasses.replace(RULE, min=6))
    assert LoraConfig(r=4).times(3).rank_by_noise is None
