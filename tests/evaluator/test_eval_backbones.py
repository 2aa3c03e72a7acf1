"""Each network against an independent implementation of it, on the miniature weights."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from fixture_contest import paint
from safetensors.torch import load_file, save_file

from contest.errors import UserError
from evaluator.backbones.clip import ClipImages, ClipTexts
from evaluator.backbones.dinov2 import DinoNetwork, DinoV2, read_dino_config
from evaluator.backbones.inception import InceptionStem, resize_like_tf1
from evaluator.backbones.loading import build, read_folder
from evaluator.backbones.rn50 import Rn50Images, Rn50Texts
from evaluator.backbones.squeezenet import SqueezeNet
from evaluator.backbones.tokenizer import Tokenizer
from evaluator.extractors.processor import read_processor
from evaluator.inputs.images import to_bytes_as_float, to_processed, to_square
from evaluator.weights import folder as files
from evaluator.weights.folder import open_weights

PICTURES = [paint(seed, 120, seed) for seed in range(3)]
TEXTS = ["dolphin", "ice cream", "Good photo.", "a  café\n№5, don't", "日本 🐟 x²", ""]


def test_dinov2_equals_transformers(pack: Path):
    from transformers import Dinov2Model

    folder = pack / files.DINO
    reference = Dinov2Model.from_pretrained(folder).eval()
    config = read_dino_config(folder / "config.json")
    ours = build(lambda: DinoNetwork(config), read_folder(folder), folder, "cpu")
    pixels = torch.randn(1, 3, 518, 518, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(ours(pixels), reference(pixels).pooler_output, rtol=0, atol=1e-5)


@pytest.mark.parametrize("by", ["scale", "size"])
def test_dinov2_positions_are_sampled_by_scale_or_by_size(pack: Path, by: str):
    folder = pack / files.DINO
    config = read_dino_config(folder / "config.json")
    ours = build(lambda: DinoNetwork(config), read_folder(folder), folder, "cpu")
    grid = ours.embeddings.position_embeddings[:, 1:].reshape(1, 37, 37, -1).permute(0, 3, 1, 2)
    by_scale = torch.nn.functional.interpolate(grid, scale_factor=(16.1 / 37,) * 2, mode="bicubic")
    by_size = torch.nn.functional.interpolate(grid, size=(16, 16), mode="bicubic")
    ours.resize_positions(16, 16, by)
    got = ours.embeddings.position_embeddings[:, 1:].reshape(1, 16, 16, -1).permute(0, 3, 1, 2)
    torch.testing.assert_close(got, {"scale": by_scale, "size": by_size}[by])
    assert (by_scale - by_size).abs().max() > 1e-3


def test_clip_equals_transformers(pack: Path):
    from transformers import CLIPTextModelWithProjection, CLIPVisionModelWithProjection

    folder = pack / files.CLIP
    ours, texts = ClipImages(folder, (224, 224), "cpu"), ClipTexts(folder, "cpu")
    processor = read_processor(folder / "preprocessor_config.json")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        vision = CLIPVisionModelWithProjection.from_pretrained(folder).eval()
        text = CLIPTextModelWithProjection.from_pretrained(folder).eval()
    pixels = torch.tensor(np.stack([to_processed(picture, processor) for picture in PICTURES]))
    tokenizer = Tokenizer(folder)
    ids = torch.tensor(tokenizer.ids(TEXTS, padding=tokenizer.end))
    with torch.inference_mode():
        expected = vision(pixel_values=pixels).image_embeds.numpy()
        np.testing.assert_allclose(ours.features(pixels.numpy()), expected, atol=1e-5)
        expected = text(input_ids=ids).text_embeds.numpy()
        np.testing.assert_allclose(texts.features(TEXTS), expected, atol=1e-5)


def test_tokenizer_equals_transformers(pack: Path):
    from transformers import CLIPTokenizer

    from evaluator.metrics.clip_r import read_vocabulary

    reference = CLIPTokenizer.from_pretrained(pack / files.CLIP)
    ours = Tokenizer(pack / files.CLIP)
    texts = [*read_vocabulary(), *TEXTS]
    rows = ours.ids(texts, padding=0)
    for text, row in zip(texts, rows):
        expected = reference(text)["input_ids"]
        assert row == expected + [0] * (77 - len(expected)), text


def test_a_text_that_is_too_long_is_named(pack: Path):
    with pytest.raises(UserError, match="at most 77"):
        Tokenizer(pack / files.CLIP).ids(["long " * 80], padding=0)


def test_rn50_equals_open_clip(pack: Path):
    import open_clip

    ours = Rn50Images(pack / files.RN50, "cpu")
    texts = Rn50Texts(pack / files.RN50, pack / files.CLIP, "cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        state = torch.jit.load(str(pack / files.RN50)).state_dict()
    vision = {"layers": [1, 1, 1, 1], "width": 8, "image_size": 224}
    text = {"width": 64, "heads": 1, "layers": 2, "context_length": 77, "vocab_size": 49408}
    reference = open_clip.model.CLIP(32, vision, text, quick_gelu=True).eval()
    reference.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    # no embedding is the same as one of zeros, which fits any size
    reference.visual.attnpool.positional_embedding = torch.nn.Parameter(torch.zeros(1, 256))
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]
    pixels = torch.tensor(np.stack([to_bytes_as_float(picture) for picture in PICTURES]))
    assert pixels.max() > 200
    ids = torch.tensor(Tokenizer(pack / files.CLIP).ids(TEXTS, padding=0))
    with torch.inference_mode():
        expected = reference.encode_image((pixels - mean) / std).numpy()
        # features reach a thousand here: what is near 0 among them has the rounding of the large ones
        tolerance = 2e-6 * np.abs(expected).max()
        np.testing.assert_allclose(ours.features(pixels.numpy()), expected, rtol=1e-4, atol=tolerance)
        expected = reference.encode_text(ids).numpy()
        np.testing.assert_allclose(texts.features(TEXTS), expected, rtol=1e-4, atol=1e-4)


def test_squeezenet_equals_torchvision(pack: Path):
    import torchvision

    from evaluator.backbones.squeezenet import TAPS

    ours = SqueezeNet(pack / files.SQUEEZENET, open_weights(pack).files[files.HEADS], "cpu")
    reference = torchvision.models.squeezenet1_1(weights=None).eval()
    reference.load_state_dict(torch.load(pack / files.SQUEEZENET))
    shift = torch.tensor([-0.030, -0.088, -0.188])[:, None, None]
    batch = np.stack([to_square(picture, 256) for picture in PICTURES])
    x = (torch.tensor(batch) - shift) / torch.tensor([0.458, 0.448, 0.450])[:, None, None]
    maps = []
    with torch.inference_mode():
        for place, layer in enumerate(reference.features):
            x = layer(x)
            if place in TAPS:
                maps.append(x / torch.sqrt(1e-8 + x.pow(2).sum(1, keepdim=True)))
    for got, expected in zip(ours.features(batch), maps):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)
    assert [len(head) for head in ours.heads] == [64, 128, 256, 384, 384, 512, 512]


@pytest.mark.parametrize("shape", [(320, 320), (256, 300), (299, 299), (512, 120)])
def test_inception_resize_samples_like_tensorflow_1(shape):
    """Against the definition in float64: output pixel i reads the input at i * size / 299."""
    height, width = shape
    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.float64)
    rows, columns = np.arange(299) * height / 299, np.arange(299) * width / 299
    low_rows, low_columns = rows.astype(int), columns.astype(int)
    high_rows = np.minimum(low_rows + 1, height - 1)
    high_columns = np.minimum(low_columns + 1, width - 1)
    across = (columns - low_columns)[None]
    top = image[low_rows][:, low_columns] * (1 - across) + image[low_rows][:, high_columns] * across
    bottom = image[high_rows][:, low_columns] * (1 - across) + image[high_rows][:, high_columns] * across
    down = (rows - low_rows)[:, None]
    got = resize_like_tf1(torch.tensor(image, dtype=torch.float32)[None, None], 299)[0, 0]
    np.testing.assert_allclose(got.numpy(), top * (1 - down) + bottom * down, atol=0.02)


def test_inception_passes_over_what_is_not_the_stem(pack: Path, tmp_path: Path):
    state = torch.load(pack / files.INCEPTION)
    torch.save({**state, "fc.weight": torch.zeros(2, 2)}, tmp_path / "whole.pth")
    whole, stem = (InceptionStem(path, "tf1", "cpu") for path in (tmp_path / "whole.pth", pack / files.INCEPTION))
    np.testing.assert_array_equal(whole.features(np.stack(PICTURES)), stem.features(np.stack(PICTURES)))


def edit_safetensors(folder: Path, **changes: torch.Tensor | None) -> None:
    state = load_file(folder / "model.safetensors")
    for name, tensor in changes.items():
        state.pop(name, None)
        if tensor is not None:
            state[name] = tensor
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def test_wrong_tensors_are_all_named_in_one_error(pack: Path, tmp_path: Path):
    folder = Path(shutil.copytree(pack / files.DINO, tmp_path / "dino"))
    edit_safetensors(
        folder,
        **{"layernorm.bias": None, "layernorm.weight": torch.zeros(5), "layernorm.gain": torch.zeros(1)},
    )
    with pytest.raises(UserError) as caught:
        DinoV2(folder, (224, 224), "scale", "cpu")
    message = str(caught.value)
    assert "layernorm.bias is missing" in message
    assert "layernorm.weight has shape (5,), not (48,)" in message
    assert "layernorm.gain is not expected" in message


def test_older_folders_load_too(pack: Path, tmp_path: Path):
    """pytorch_model.bin, position_ids among the tensors, sizes of the processor as bare numbers."""
    folder = Path(shutil.copytree(pack / files.CLIP, tmp_path / "clip"))
    state = load_file(folder / "model.safetensors")
    torch.save({**state, "text_model.embeddings.position_ids": torch.arange(77)}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    processor = json.loads((folder / "preprocessor_config.json").read_text("utf-8"))
    processor.update(size=224, crop_size=224)
    del processor["rescale_factor"], processor["do_rescale"]
    (folder / "preprocessor_config.json").write_text(json.dumps(processor), "utf-8")
    old, new = (read_processor(place / "preprocessor_config.json") for place in (folder, pack / files.CLIP))
    assert (old.shortest_edge, old.crop, old.rescale) == (new.shortest_edge, new.crop, new.rescale)
    texts = (ClipTexts(place, "cpu").features(TEXTS) for place in (folder, pack / files.CLIP))
    np.testing.assert_array_equal(*texts)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (files.RN50, "not a TorchScript archive"),
        (files.SQUEEZENET, r"not a .*PyTorch file"),
        (files.INCEPTION, r"not a .*PyTorch file"),
    ],
)
@pytest.mark.parametrize("content", [b"", b"not weights at all", b"PK\x03\x04 nor this"])
def test_files_that_are_no_weights(pack: Path, tmp_path: Path, name: str, words: str, content: bytes):
    path = tmp_path / name
    path.write_bytes(content)
    makers = {
        files.RN50: lambda: Rn50Images(path, "cpu"),
        files.SQUEEZENET: lambda: SqueezeNet(path, open_weights(pack).files[files.HEADS], "cpu"),
        files.INCEPTION: lambda: InceptionStem(path, "tf1", "cpu"),
    }
    with pytest.raises(UserError, match=words) as caught:
        makers[name]()
    assert "\n" not in str(caught.value)


def test_an_archive_of_something_else_is_not_rn50(pack: Path, tmp_path: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "RN50.pt"))
    with pytest.raises(UserError, match="not CLIP RN50"):
        Rn50Images(tmp_path / "RN50.pt", "cpu")


@pytest.mark.parametrize(
    "file", ["model.safetensors", "vocab.json", "merges.txt", "config.json", "preprocessor_config.json"]
)
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}"])
def test_damaged_folders(pack: Path, tmp_path: Path, file: str, content: bytes):
    folder = Path(shutil.copytree(pack / files.CLIP, tmp_path / "clip"))
    (folder / file).write_bytes(content)
    with pytest.raises(UserError) as caught:
        size = read_processor(folder / "preprocessor_config.json").crop
        ClipImages(folder, size, "cpu")
        ClipTexts(folder, "cpu").features(["cat"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(1, 1, 24), (2, 257, 768), (3, 5, 48), (1028, 64)])
@pytest.mark.parametrize("bias", [True, False])
def test_packed_linears_equal_plain_ones(shape: tuple[int, ...], bias: bool):
    from evaluator.backbones.packed import PackedLinear, pack_linears

    torch.manual_seed(0)
    plain = torch.nn.Sequential(torch.nn.Linear(shape[-1], 96, bias=bias), torch.nn.Sequential(torch.nn.Linear(96, 7)))
    packed = torch.nn.Sequential(torch.nn.Linear(shape[-1], 96, bias=bias), torch.nn.Sequential(torch.nn.Linear(96, 7)))
    packed.load_state_dict(plain.state_dict())
    pack_linears(packed.requires_grad_(False))
    assert sum(isinstance(layer, PackedLinear) for layer in packed.modules()) == 2
    x = torch.randn(shape)
    with torch.inference_mode():
        torch.testing.assert_close(packed(x), plain(x), rtol=1e-5, atol=1e-5)


def test_linears_stay_where_the_operators_are_missing(monkeypatch: pytest.MonkeyPatch):
    from evaluator.backbones import packed

    packed._is_there.cache_clear()
    monkeypatch.setattr(packed.torch.backends.mkldnn, "is_available", lambda: False)
    network = torch.nn.Sequential(torch.nn.Linear(4, 4))
    packed.pack_linears(network)
    packed._is_there.cache_clear()
    assert isinstance(network[0], torch.nn.Linear)


def test_tensors_are_read_as_the_library_reads_them(tmp_path: Path):
    state = {
        "a": torch.randn(3, 5),
        "b": torch.randn(2, 2).half(),
        "c": torch.randn(4).bfloat16(),
        "d": torch.arange(6).reshape(2, 3),
        "e": torch.zeros(0, 4),
        "f": torch.tensor(2.5),
    }
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    ours = read_folder(tmp_path, lambda name: name == "a")
    expected = load_file(tmp_path / "model.safetensors")
    assert set(ours) == set(expected) - {"a"}
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, expected[name], rtol=0, atol=0)
    data = (tmp_path / "model.safetensors").read_bytes()
    for cut in (0, 4, 30, len(data) - 1):
        (tmp_path / "model.safetensors").write_bytes(data[:cut])
        with pytest.raises(UserError, match="not a readable safetensors file"):
            read_folder(tmp_path)
