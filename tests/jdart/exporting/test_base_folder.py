"""Base models as diffusers opens them, whatever the names of their files are."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from jdart.exporting.base_folder import write_base_folder
from jdart.exporting.scheduler import scheduler_config
from jdart.models.build import Base
from jdart.models.presets import SD_SCHEDULER


def half(folder, part, name):
    """The part's weights as fp16 under fp16's name alone."""
    path = folder / part / f"{name}.safetensors"
    tensors = {key: value.astype(np.float16) for key, value in load_file(path).items()}
    save_file(tensors, folder / part / f"{name}.fp16.safetensors", metadata={"format": "pt"})
    path.unlink()


def sharded(folder, part, name, count=1):
    """The part's weights as shards with an index."""
    path = folder / part / f"{name}.safetensors"
    tensors = load_file(path)
    shard = f"{name}-00001-of-{count:05d}.safetensors"
    save_file(tensors, folder / part / shard, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": dict.fromkeys(tensors, shard)}
    (folder / part / f"{name}.safetensors.index.json").write_text(json.dumps(index))
    path.unlink()


@pytest.mark.parametrize("copy", [False, True])
def test_diffusers_opens_it(copy, base_folder, tmp_path):
    from diffusers import StableDiffusionPipeline

    base = tmp_path / "base"
    shutil.copytree(base_folder, base)
    half(base, "unet", "diffusion_pytorch_model")
    sharded(base, "vae", "diffusion_pytorch_model")
    write_base_folder(Base(base), scheduler_config(SD_SCHEDULER, "ddim"), tmp_path / "out", copy)
    assert (tmp_path / "out" / "tokenizer" / "vocab.json").is_symlink() != copy
    pipe = StableDiffusionPipeline.from_pretrained(tmp_path / "out")
    plain = StableDiffusionPipeline.from_pretrained(base_folder)
    for part in ("unet", "vae", "text_encoder"):
        ours, theirs = (getattr(p, part).state_dict() for p in (pipe, plain))
        assert ours.keys() == theirs.keys()
        assert max(float((ours[key] - theirs[key]).abs().max()) for key in ours) < 1e-2
    assert type(pipe.scheduler).__name__ == "DDIMScheduler"
    assert pipe.scheduler.config.beta_end == SD_SCHEDULER["beta_end"]
