"""Each profile against the libraries whose behaviour it is named after, where they are installed."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import pytest
import torch
from fixture_contest import paint

from evaluator.arithmetic import arithmetic
from evaluator.extractors import Setting, build_extractors
from evaluator.extractors.processor import read_processor
from evaluator.inputs.images import to_processed, to_tensor_processed
from evaluator.profiles import OFFICIAL_2024, OFFICIAL_2025
from evaluator.weights import folder as files
from evaluator.weights.folder import open_weights

SHAPES = [(320, 320), (301, 517), (640, 233), (256, 300), (100, 90), (224, 224)]
TRANSFORMERS_5 = int(version("transformers").split(".")[0]) >= 5


def picture(shape: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 256, (*shape, 3), dtype=np.uint8)


def extractor(name: str, pack, profile):
    weights = open_weights(pack)
    return build_extractors([name], Setting(weights, weights.hashes(), profile))[name]


@pytest.mark.skipif(not TRANSFORMERS_5, reason="transformers 5 made its processors torchvision's")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("folder", [files.DINO, files.CLIP])
def test_2025_processors_equal_transformers(pack, folder, shape):
    from transformers import BitImageProcessor, CLIPImageProcessor

    kind = {files.DINO: BitImageProcessor, files.CLIP: CLIPImageProcessor}[folder]
    pixels = picture(shape)
    expected = kind.from_pretrained(pack / folder)(images=pixels, return_tensors="np")["pixel_values"][0]
    processor = read_processor(pack / folder / "preprocessor_config.json")
    np.testing.assert_allclose(to_tensor_processed(pixels, processor), expected, rtol=0, atol=1e-6)


@pytest.mark.skipif(not TRANSFORMERS_5, reason="transformers 5 keeps the PIL processors under other names")
@pytest.mark.parametrize("shape", SHAPES)
def test_2024_processors_equal_transformers_pil_ones(pack, shape):
    from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    pixels = picture(shape)
    for folder, kind in ((files.DINO, BitImageProcessorPil), (files.CLIP, CLIPImageProcessorPil)):
        expected = kind.from_pretrained(pack / folder)(images=pixels, return_tensors="np")["pixel_values"][0]
        processor = read_processor(pack / folder / "preprocessor_config.json")
        np.testing.assert_allclose(to_processed(pixels, processor), expected, rtol=0, atol=1e-6)


def test_the_processors_differ_by_a_last_bit(pack):
    """What tells the profiles apart: some pixels are one grey level off, and no more."""
    processor = read_processor(pack / files.DINO / "preprocessor_config.json")
    pixels = paint(5, 320, 2)
    levels = np.abs(to_processed(pixels, processor) - to_tensor_processed(pixels, processor))
    levels *= processor.std[:, None, None] * 255
    changed = levels > 0.5
    assert 0.001 < changed.mean() < 0.4
    assert levels.max() < 1.5


def test_2025_positions_and_all_of_dino_equal_transformers(pack):
    """From pixels to the class token, by the library's own interpolation."""
    from transformers import Dinov2Model

    if tuple(int(part) for part in version("transformers").split(".")[:2]) < (4, 46):
        pytest.skip("transformers 4.46 came to interpolate by size")
    ours = extractor("dinov2", pack, OFFICIAL_2025)
    prepared = [ours.prepare(paint(seed, 320, seed)) for seed in range(3)]
    with torch.inference_mode():
        expected = Dinov2Model.from_pretrained(pack / files.DINO).eval()(torch.tensor(np.stack(prepared)))
    np.testing.assert_allclose(ours.notes(prepared), expected.pooler_output.numpy(), atol=1e-5)
    other = extractor("dinov2", pack, OFFICIAL_2024)
    assert np.abs(other.notes(prepared) - ours.notes(prepared)).max() > 1e-4


@pytest.mark.parametrize("side", [512, 256, 299, 301])
def test_fid_resizes_equal_torchmetrics_and_torch_fidelity(side):
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    from evaluator.backbones.inception import resize_antialiased, resize_like_tf1

    images = torch.tensor(picture((side, side))).permute(2, 0, 1)[None].float()
    expected = interpolate_bilinear_2d_like_tensorflow1x(images, size=(299, 299), align_corners=False)
    torch.testing.assert_close(resize_like_tf1(images, 299), expected, rtol=0, atol=0.02)
    now = torch.nn.functional.interpolate(images, size=(299, 299), mode="bilinear", antialias=True)
    torch.testing.assert_close(resize_antialiased(images, 299), now)


def test_exact_arithmetic_leaves_settings_as_they_were():
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    try:
        torch.set_float32_matmul_precision("high")
        with arithmetic("cpu", "float32"):
            assert torch.get_float32_matmul_precision() == "highest"
            assert not torch.backends.cudnn.allow_tf32
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before[0])
    assert torch.backends.cudnn.allow_tf32 == before[1]
