"""Files that are no LoRA for Stable Diffusion 1 or 2: the sign in a tensor's name, what it is, and what helps."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple, Optional

OTHER_MODEL = "only LoRAs of Stable Diffusion 1 and 2 are read: take one that was trained on them"
MERGE = (
    "only LoRA, rank-stabilised LoRA and DoRA are read: merge it into its base with the program that made it and take "
    "that as base.model, or train it again as LoRA"
)
EXTRACT = "take it as base.model where it is a model's folder, or extract a LoRA from it in the program that made it"
WORD = "it goes with a prompt's word, not with a layer: jdart trains such words itself (token: in the configuration)"


class Kind(NamedTuple):
    """A kind of file: `sign` is looked for in each tensor's name."""

    sign: re.Pattern[str]
    what: str
    cure: str


# Other models before other methods, and the most general last: the first that is found is told.
KINDS = tuple(
    Kind(re.compile(sign), what, cure)
    for sign, what, cure in (
        (r"lora_te3[_.]|text_encoder_3\.|t5xxl|joint_blocks", "a LoRA for Stable Diffusion 3", OTHER_MODEL),
        (r"double_blocks|single_(transformer_)?blocks", "a LoRA for Flux", OTHER_MODEL),
        (
            r"^(base_model\.model\.)?(transformer|transformer_blocks)\.|lora_transformer_|^lora_unet_(blocks|layers)_"
            r"|^diffusion_model\.(blocks|layers)\.|lora_prior_",
            "a LoRA for Flux, SD 3 or another model that is no UNet",
            OTHER_MODEL,
        ),
        (
            r"lora_te2[_.]|text_encoder_2\.|clip_g\.|add_embedding|label_emb|transformer_blocks[._][1-9]",
            "a LoRA for SDXL",
            OTHER_MODEL,
        ),
        (r"motion_modules|temporal_transformer", "a motion LoRA for AnimateDiff", OTHER_MODEL),
        (r"^(base_model\.model\.)?model\.layers\.", "a LoRA for a language model", OTHER_MODEL),
        (r"lllite_", "a ControlNet-LLLite", OTHER_MODEL),
        (r"^bundle_emb\.", "a LoRA with an embedding that was trained along", f"save it without; {WORD}"),
        (r"\.hada_", "a LoHa (LyCORIS)", MERGE),
        (r"\.lokr_", "a LoKr (LyCORIS)", MERGE),
        (r"oft_blocks|oft_diag|oft_[RS]\b|boft_", "an OFT or BOFT", MERGE),
        (r"\.(a1|a2|b1|b2|bm)\.weight$", "a GLoRA (LyCORIS)", MERGE),
        (r"\.on_input$|\.ia3_l", "an (IA)3", MERGE),
        (r"\.lora_E\b|\.ranknum", "an AdaLoRA", MERGE),
        (
            r"vera_lambda|fourierft_|\.hra_u|\.vblora_|randlora_|\.waveft_",
            "an adapter of another method",
            MERGE,
        ),
        (r"\.lora_diag", "a KaSA", MERGE),
        (r"\.(w_norm|b_norm)$", "trained norms beside a LoRA (LyCORIS)", MERGE),
        (r"\.(diff|diff_b|set_weight|reshape_weight)$", "full differences of weights, not pairs", MERGE),
        (r"\.lora_embedding_[AB]", "a LoRA of the words' embeddings", MERGE),
        (r"\.lora_(B|up)(\.[^.]+)?\.bias$", "a LoRA with biases beside B (lora_bias)", MERGE),
        (r"^(unet|text_encoder):\d+:", "a LoRA whose layers are numbered, not named (cloneofsimo/lora)", MERGE),
        (r"trainable_tokens_delta", "a LoRA with words that were trained along", MERGE),
        (
            r"string_to_param|^emb_params$|^clip_[lgh]$|^[^.]+$",
            "a textual inversion embedding, not a LoRA",
            WORD,
        ),
        (r"^(?!.*lora).*\.(weight|bias)$|\.base_layer\.", "a model's own weights, not what a LoRA adds", EXTRACT),
    )
)


def find_kind(names: Iterable[str]) -> Optional[tuple[Kind, str]]:
    """The first of KINDS that a name tells, and that name; None where none does."""
    given = list(names)
    for kind in KINDS:
        found = next((name for name in given if kind.sign.search(name)), None)
        if found is not None:
            return kind, found
    return None
