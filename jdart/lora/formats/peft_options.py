"""What PEFT's LoraConfig may say beside the tensors: which of its fields are read, which are refused, which do no harm.

Every field of LoraConfig is named here (as of PEFT 0.21; a test compares with the one that is installed).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from contest.errors import UserError

log = logging.getLogger(__name__)

READ = ("peft_type", "init_lora_weights", "r", "rank_pattern", "lora_alpha", "alpha_pattern", "use_rslora", "use_dora")

# Where the LoRA came from, which layers it was put on and how it was trained: the tensors tell, or it is over.
HARMLESS = (
    "task_type",
    "auto_mapping",
    "peft_version",
    "base_model_name_or_path",
    "revision",
    "inference_mode",
    "target_modules",
    "exclude_modules",
    "layers_to_transform",
    "layers_pattern",
    "target_modules_to_tie",
    "target_parameters",  # another way to say target_modules, for layers as these networks have them
    "ensure_weight_tying",  # of layers that share a weight; the networks here have none
    "lora_dropout",
    "fan_in_fan_out",  # PEFT itself takes it back for the linear layers of these networks
    "megatron_core",
    "qalora_group_size",
    "runtime_config",
    "eva_config",  # init_lora_weights decides
    "corda_config",
    "loftq_config",
    "lora_ga_config",
    "velora_config",  # changes the gradients alone
)

SAVE_PLAIN = (
    "only LoRA, rank-stabilised LoRA and DoRA are read: merge it with PEFT's merge_and_unload, or train it without"
)
# Unless off (absent, null, false, "none", empty): what its tensors mean is more than B A, or not for these networks.
REFUSED = {
    "use_qalora": "is QA-LoRA, whose A is for averaged inputs",
    "use_bdlora": "is BD-LoRA, whose matrices are cut into blocks",
    "kasa_config": "is KaSA, which also changes the base's weights",
    "monteclora_config": "draws its weights at random",
    "arrow_config": "chooses among several LoRAs",
    "alora_invocation_tokens": "is aLoRA, which acts from a word on",
    "layer_replication": "is for a network with layers repeated",
    "megatron_config": "is for Megatron's layers",
    "lora_bias": "has biases beside B",
    "bias": "trained the layers' biases too",
    "modules_to_save": "holds whole layers beside its pairs",
    "trainable_token_indices": "trained words of the tokenizer too",
}

# Values of init_lora_weights that leave the base's weights as they are: A and B are the whole difference.
PLAIN_INITS = (None, True, False, "gaussian", "eva", "orthogonal", "mica")
CONVERT = (
    "save it again with PEFT: save_pretrained(..., path_initial_model_for_weight_conversion=<the adapter as it was "
    "before training>) makes a plain LoRA of it"
)
# Those that begin by taking something out of them, so that A and B alone mean another picture.
BASE_CHANGING_INITS = {
    "pissa": ("PiSSA", CONVERT),
    "olora": ("OLoRA", CONVERT),
    "corda": ("CorDA", CONVERT),
    "lora_ga": ("LoRA-GA", CONVERT),
    "loftq": ("LoftQ", "merge it into its quantised base with PEFT's merge_and_unload, or train it as plain LoRA"),
}


def require_plain(adapter: Mapping[str, Any]) -> None:
    """Raise UserError for settings with which the tensors mean something else than B A times alpha over the rank.

    A setting that is not known here, of a newer PEFT, is logged.
    """
    kind = adapter.get("peft_type")
    if kind not in (None, "LORA"):
        raise UserError(f"the adapter is {kind}, not LORA; {SAVE_PLAIN}")
    for name, what in REFUSED.items():
        if not _off(adapter.get(name)):
            raise UserError(f"the adapter {what} ({name}); {SAVE_PLAIN}")
    _require_plain_init(adapter.get("init_lora_weights"))
    for name, value in adapter.items():
        if name not in READ and name not in HARMLESS and name not in REFUSED and not _off(value):
            log.warning("the adapter's settings say %s: %s, which is not known here; it is read without", name, value)


def _require_plain_init(value: Any) -> None:
    name = value.lower() if isinstance(value, str) else value
    if name in PLAIN_INITS:
        return
    for init, (method, cure) in BASE_CHANGING_INITS.items():
        if name == init or (isinstance(name, str) and name.startswith(f"{init}_")):  # as pissa_niter_16
            began = f"the adapter began as {method} (init_lora_weights: {value})"
            raise UserError(f"{began}, which changes the base's weights too; {cure}")
    raise UserError(f"the adapter began in a way that is not known here (init_lora_weights: {value}); {SAVE_PLAIN}")


def _off(value: Any) -> bool:
    return not value or value == "none"
