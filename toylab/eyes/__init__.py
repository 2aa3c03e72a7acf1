"""The toy evaluator's five networks: each is trained for what its metric asks, on pictures that no model drew."""

from evaluator.weights.pack import Sizes, tower

EYES = Sizes(
    dino={"hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 3, "patch_size": 7, "image_size": 56},
    text=tower(48, 2, 3),
    vision={**tower(128, 4, 4), "patch_size": 16},
    shared=64,
    rn50={"blocks": (1, 1, 1, 1), "stem": 8, "text": 64, "text_layers": 1, "shared": 32},
    dino_edges=(64, 56),
    clip_edges=(64, 64),
    half=True,
)
