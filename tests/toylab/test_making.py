"""How the toy networks are made: training that resumes, latents of unit variance, archives that others load."""

import json
import zipfile

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from torch import nn

from contest.errors import UserError
from toylab import base, ship, vae
from toylab.eyes import EYES, aesthetic
from toylab.eyes.sights import awake, few_words, sights
from toylab.loop import learn


def _train(place, steps, network):
    def loss(rng, numbers):
        x = torch.from_numpy(rng.standard_normal((8, 3), np.float32))
        return (network(x) - x.sum(1, keepdim=True) + 0.1 * torch.randn((8, 1), generator=numbers)).square().mean()

    learn(network, loss, place, steps, 1e-2, seed=3, decay=0.9)


def test_a_stopped_training_goes_on_as_if_it_had_never_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr("toylab.loop.SAVE_EVERY", 0.0)

    def start():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))

    whole, first, second = start(), start(), start()
    _train(tmp_path / "whole.pt", 30, whole)

    class Stop(Exception):
        pass

    calls = []

    def stopping(module, inputs):
        calls.append(1)
        if len(calls) == 17:
            raise Stop

    first.register_forward_pre_hook(stopping)
    with pytest.raises(Stop):
        _train(tmp_path / "parts.pt", 30, first)
    _train(tmp_path / "parts.pt", 30, second)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name
    third = start()
    _train(tmp_path / "parts.pt", 30, third)  # a finished one is only loaded
    assert torch.equal(third[0].weight, whole[0].weight)


def test_latents_get_mean_0_and_variance_1_and_decode_to_the_same():
    torch.manual_seed(0)
    network = AutoencoderKL.from_config(vae.CONFIG).eval()
    pictures = np.random.default_rng(0).integers(0, 256, (40, 3, 64, 64)).astype(np.uint8)
    before = vae.decode(network, vae.encode(network, pictures))
    with torch.no_grad():
        spread = network.encode(vae.as_input(pictures)).latent_dist.std
    scale = vae.encode(network, pictures).std((0, 2, 3)).view(1, -1, 1, 1)
    vae._standardise(network, pictures)
    latents = vae.encode(network, pictures)
    assert latents.mean((0, 2, 3)).abs().max() < 1e-4
    assert (latents.std((0, 2, 3)) - 1).abs().max() < 1e-4
    assert np.abs(vae.decode(network, latents).astype(int) - before).max() <= 1
    with torch.no_grad():
        assert torch.allclose(network.encode(vae.as_input(pictures)).latent_dist.std, spread / scale, rtol=1e-3)


def test_psnr_is_that_of_torchmetrics():
    from torchmetrics.functional.image import peak_signal_noise_ratio

    rng = np.random.default_rng(1)
    one, other = (rng.integers(0, 256, (3, 3, 8, 8)).astype(np.uint8) for _ in range(2))
    expected = peak_signal_noise_ratio(torch.tensor(one).float(), torch.tensor(other).float(), data_range=255.0)
    assert vae.psnr(one, other) == pytest.approx(float(expected), abs=1e-4)


def test_gate_stops_a_hopeless_training():
    base.gate(base.GATE_STEP, base.GATE)
    base.gate(2 * base.GATE_STEP, 0.0)
    with pytest.raises(UserError, match="fewer nouns"):
        base.gate(base.GATE_STEP, base.GATE - 0.01)


def test_words_are_all_that_captions_hold(tokenizer):
    words = base.Words.of(tokenizer)
    places = words(
        ["an image of Pineapple in style_07", "a photo of Television on violet", "an image of Cat in chalk", ""]
    )
    found = [[words.used[place] for place in row] for row in places.tolist()]
    assert found[0] == tokenizer("an image of Pineapple in style_07", padding="max_length", max_length=77).input_ids
    assert len(words.used) < 400


@pytest.fixture(scope="module")
def shipped(tmp_path_factory, tokenizer):
    """The base's archive with random numbers, and the networks in it."""
    torch.manual_seed(1)
    words = base.Words.of(tokenizer)
    pair, autoencoder = base.Pair(len(words.used)).eval(), AutoencoderKL.from_config(vae.CONFIG).eval()
    archive = tmp_path_factory.mktemp("shipped") / "toy.zip"
    ship.ship_base(archive, autoencoder, pair, words)
    return archive, pair, autoencoder, words


def test_diffusers_loads_the_shipped_base_and_hears_the_same(shipped, tokenizer, tmp_path):
    from transformers import CLIPTextModel

    archive, pair, _, words = shipped
    zipfile.ZipFile(archive).extractall(tmp_path)
    theirs, info = CLIPTextModel.from_pretrained(tmp_path / "text_encoder", output_loading_info=True)
    assert not info["missing_keys"]
    text = "an image of Swan in style_33"
    ids = tokenizer([text], padding="max_length", max_length=77, return_tensors="pt").input_ids
    with torch.no_grad():
        expected, found = (
            pair.text_encoder(words([text])).last_hidden_state,
            theirs.float()(ids).last_hidden_state,
        )
    assert torch.allclose(found, expected, atol=0.02)  # float16 files
    for part, kind in (("unet", "UNet2DConditionModel"), ("vae", "AutoencoderKL")):
        import diffusers

        _, info = getattr(diffusers, kind).from_pretrained(tmp_path / part, output_loading_info=True)
        assert not info["missing_keys"]
        assert not info["unexpected_keys"]


def test_a_training_with_few_words_sees_and_keeps_the_same_numbers():
    holder = nn.Module()
    holder.token_embedding = nn.Embedding(50, 3)
    before = holder.token_embedding.weight.detach().clone()
    ids = torch.tensor([[7, 40, 49], [9, 49, 49]])
    with few_words(holder, ids, 49) as (places, end):
        assert len(holder.token_embedding.weight) == 4
        assert torch.equal(places == end, ids == 49)
        assert torch.equal(holder.token_embedding(places), before[ids])
        with torch.no_grad():
            holder.token_embedding.weight += 1
    after = holder.token_embedding.weight
    assert torch.equal(after[[7, 9, 40, 49]], before[[7, 9, 40, 49]] + 1)
    assert after.detach().abs().sum(1).nonzero().flatten().tolist() == [7, 9, 40, 49]


def test_archives_are_the_same_each_time_and_small(shipped, tmp_path):
    archive, pair, autoencoder, words = shipped
    ship.ship_base(tmp_path / "again.zip", autoencoder, pair, words)
    assert archive.read_bytes() == (tmp_path / "again.zip").read_bytes()
    assert archive.stat().st_size < 11_000_000
    assert json.loads(zipfile.ZipFile(archive).read("model_index.json"))["_class_name"] == "StableDiffusionPipeline"
    assert b"SIL Open Font License" in zipfile.ZipFile(archive).read("LICENSE")


def test_the_evaluator_opens_the_shipped_pack(tmp_path):
    from evaluator.backbones.clip import ClipImages, ClipTexts
    from evaluator.backbones.rn50 import Rn50Texts
    from evaluator.weights.folder import CLIP, RN50, open_weights
    from evaluator.weights.pack import networks, write_tokenizer

    torch.manual_seed(2)
    made = {name: awake(make()).eval() for name, make in networks(EYES).items()}
    for holder in (made["clip"].text_model.embeddings, made["rn50"]):
        with few_words(holder, torch.tensor([320, 49406, 49407]), 49407):
            pass
    head = aesthetic.fit(sights(3, 300), made["clip"])
    ship.ship_pack(tmp_path / "toy.zip", EYES, made, head)
    assert (tmp_path / "toy.zip").stat().st_size < 6_000_000
    zipfile.ZipFile(tmp_path / "toy.zip").extractall(tmp_path / "pack")
    write_tokenizer(tmp_path / "pack" / CLIP)
    open_weights(tmp_path / "pack")
    pictures = np.random.default_rng(0).standard_normal((2, 3, 64, 64)).astype(np.float32)
    found = ClipImages(tmp_path / "pack" / CLIP, (64, 64), "cpu").features(pictures)
    with torch.no_grad():
        tower, projection = made["clip"].vision_model, made["clip"].visual_projection
        expected = projection(tower(torch.from_numpy(pictures))).numpy()
    assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()
    assert ClipTexts(tmp_path / "pack" / CLIP, "cpu").features(["a"]).shape == (1, 64)
    assert Rn50Texts(tmp_path / "pack" / RN50, tmp_path / "pack" / CLIP, "cpu").features(["a"]).shape == (1, 32)
