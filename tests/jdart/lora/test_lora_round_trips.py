"""LoRA files of every format, written and read back."""

import numpy as np
import pytest
from lora_files import assert_same, written
from safetensors.numpy import load_file

from contest.errors import UserError
from jdart.lora.formats.file import FORMATS, LoraFile
from jdart.lora.formats.reading import load_lora
from jdart.lora.formats.writing import save_lora
from jdart.lora.merge import layer_shapes
from jdart.lora.pairs import LoraPair


@pytest.mark.parametrize("format", ["diffusers", "peft", "kohya"])
def test_every_format_keeps_pairs_alphas_and_notes(format, every_kind, tmp_path):
    lora = load_lora(written(tmp_path, every_kind, format))
    assert_same(lora.pairs, every_kind)
    assert (lora.format, lora.alpha_known, lora.settings) == (format, True, {"style": "07"})


@pytest.mark.parametrize("format", FORMATS)
def test_matrices_in_fortran_order_are_written_as_they_are(format, rng, tmp_path):
    a, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((2, 5), (7, 2)))
    layer = "mid_block.attentions.0.proj_in"
    path = written(tmp_path, {"unet": {layer: LoraPair(np.asfortranarray(a), np.asfortranarray(b), 2.0)}}, format)
    assert_same(load_lora(path).pairs, {"unet": {layer: LoraPair(a, b, 2.0)}})


@pytest.mark.parametrize("format", ["diffusers", "kohya"])
def test_equal_notes_give_equal_bytes(format, every_kind, tmp_path):
    """The library alone writes eight notes in another order each time."""
    lora = LoraFile(every_kind, {f"note{number}": "value" for number in range(8)})
    files = set()
    for _ in range(3):
        save_lora(tmp_path / "x.safetensors", lora, format)
        files.add((tmp_path / "x.safetensors").read_bytes())
    assert len(files) == 1


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


def test_a_folder_of_peft_is_there_when_all_of_it_is(every_kind, tmp_path, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("jdart.lora.formats.writing.write_json", stopped)
        with pytest.raises(KeyboardInterrupt):
            save_lora(tmp_path / "x", LoraFile(every_kind, {}), "peft")
    assert not list(tmp_path.iterdir())
    for _ in range(2):  # into what is there, too
        save_lora(tmp_path / "x", LoraFile(every_kind, {}), "peft")
        assert_same(load_lora(tmp_path / "x").pairs, every_kind)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
