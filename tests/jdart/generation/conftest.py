"""LoRA files with random numbers for the miniature base."""

import numpy as np
import pytest


@pytest.fixture
def write_lora(base):
    """Call with a path and a seed: rank 2 on every attention projection of the UNet and the text encoder."""
    from jdart.lora.formats.file import LoraFile
    from jdart.lora.formats.writing import save_lora
    from jdart.lora.merge import layer_shapes
    from jdart.lora.pairs import LoraPair

    def write(path, seed, networks=("unet", "text_encoder")):
        rng = np.random.default_rng(seed)
        pairs = {}
        for network in networks:
            shapes = layer_shapes(getattr(base, network))
            ends = ("to_q", "to_k", "to_v", "to_out.0", "q_proj", "k_proj", "v_proj", "out_proj")
            pairs[network] = {
                name: LoraPair(
                    *(0.3 * rng.standard_normal(s).astype(np.float32) for s in ((2, shape[1]), (shape[0], 2))), 2.0
                )
                for name, shape in shapes.items()
                if name.endswith(ends)
            }
        save_lora(path, LoraFile({"unet": {}, "text_encoder": {}, **pairs}))
        return path

    return write
