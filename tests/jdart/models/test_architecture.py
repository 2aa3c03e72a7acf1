"""Bases of other kinds are refused by name, with what is loaded instead, before anything is downloaded."""

import json
import shutil

import pytest

from contest.errors import UserError
from jdart.config import BaseConfig
from jdart.models.build import Base
from jdart.models.hub.architecture import LOADS, require_repository
from jdart.models.hub.locate import require_base


@pytest.fixture
def other(base_folder, tmp_path):
    """A copy of the miniature base whose settings can be made another pipeline's."""
    shutil.copytree(base_folder, tmp_path / "base")

    def change(part, **values):
        path = tmp_path / "base" / part
        said = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**said, **values}))
        return tmp_path / "base"

    return change


@pytest.mark.parametrize(
    ("part", "values", "kind"),
    [
        ("model_index.json", {"_class_name": "KolorsPipeline"}, "Kolors"),
        ("text_encoder/config.json", {"architectures": ["ChatGLMModel"]}, "ChatGLM"),
        ("unet/config.json", {"addition_embed_type": "text_time"}, "SDXL"),
        ("unet/config.json", {"in_channels": 9}, "an inpainting model, whose UNet takes 9 channels"),
    ],
)
def test_other_folders_are_refused_with_what_is_loaded(part, values, kind, other):
    with pytest.raises(UserError) as error:
        Base(other(part, **values))
    assert kind in str(error.value)
    assert str(error.value).endswith(LOADS)
    assert "\n" not in str(error.value)


def test_the_base_itself_is_loaded(other):
    Base(other("model_index.json", _class_name="StableDiffusionPipeline")).require_match()


@pytest.mark.parametrize("name", ["Kwai-Kolors/Kolors", "Kwai-Kolors/Kolors-diffusers"])
def test_kolors_is_refused_by_its_name(name):
    with pytest.raises(UserError, match=f"{name}: Kolors, which has SDXL's UNet and ChatGLM.*jdart loads Stable Diff"):
        require_base(BaseConfig(model=name))


def test_repositories_are_told_by_their_files():
    require_repository("me/mine", ["unet/config.json", "text_encoder/model.safetensors"])
    with pytest.raises(UserError, match="SDXL"):
        require_repository("me/mine", ["text_encoder_2/model.safetensors"])
    with pytest.raises(UserError, match="transformer"):
        require_repository("me/mine", ["transformer/config.json"])
