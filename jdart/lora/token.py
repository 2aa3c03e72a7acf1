"""A style token: a placeholder word with embeddings of its own, put into a base's tokenizer and text encoder.

Source: Gal et al., Textual Inversion, 2208.01618. Files are those of diffusers' `load_textual_inversion`: one tensor
(vectors, D) under the placeholder's name; further vectors stand in a prompt as <style>_1, <style>_2, ...
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jittor as jt
import numpy as np
from jittor import nn

from contest.disk.files import write_bytes
from contest.errors import UserError, needs
from jdart.config.sections.token import TokenConfig
from jdart.lora.formats.names import parse
from jdart.models.build import Base
from jdart.models.paths import at, put
from jdart.models.tensors import read_tensors

UNNAMED = ("emb_params", "clip_l", "clip_g", "string_to_param.*")  # tensors of programs that name the file alone
EMBEDDING = "text_model.embeddings.token_embedding"


class ExtendedEmbedding(nn.Module):
    """A frozen embedding of V words and, for the ids from V on, the rows of `vectors`: (B, T) ids -> (B, T, D)."""

    def __init__(self, embedding: nn.Embedding, vectors: np.ndarray):
        self.embedding = embedding
        self.vectors = jt.array(vectors.astype(np.float32))

    def execute(self, ids: jt.Var) -> jt.Var:
        words = self.embedding.weight.shape[0]
        added = jt.array(words + np.arange(self.vectors.shape[0], dtype=np.int32))
        chosen = (ids.unsqueeze(-1) == added).float32()  # B,T,vectors: one-hot, zero for a plain word
        plain = self.embedding(jt.minimum(ids, words - 1))
        return plain * (1 - chosen.sum(-1, keepdims=True)) + nn.matmul(chosen, self.vectors)


class PlaceholderTokenizer:
    """A tokenizer that reads the placeholder as the words of its vectors; called as transformers' are."""

    def __init__(self, tokenizer: Any, words: Sequence[str]):
        self.tokenizer, self.words = copy.deepcopy(tokenizer), tuple(words)
        known = [word for word in words if word in tokenizer.get_vocab()]
        if known:
            raise UserError(f"token.placeholder: the tokenizer knows {known[0]} already; take another word")
        self.tokenizer.add_tokens(list(words))

    def __call__(self, prompts: Sequence[str], **settings: Any) -> Any:
        placeholder, every = self.words[0], " ".join(self.words)
        return self.tokenizer([prompt.replace(placeholder, every) for prompt in prompts], **settings)


class StyleToken:
    """The placeholder put into `base`, in place; `close` puts the plain tokenizer and embedding back."""

    def __init__(self, base: Base, placeholder: str, vectors: np.ndarray):
        width = base.configs["text_encoder"].hidden_size
        if vectors.ndim != 2 or vectors.shape[1] != width:
            raise UserError(
                f"the embedding of {placeholder} has shape {vectors.shape}, this base's words have {width} numbers; "
                "take the base that it was trained on, or train again"
            )
        words = [placeholder, *(f"{placeholder}_{number}" for number in range(1, len(vectors)))]
        text = base.configs["text_encoder"]
        longer = dataclasses.replace(text, vocab_size=text.vocab_size + len(words))
        self.base, self.placeholder = base, placeholder
        self.plain = {"tokenizer": base.tokenizer, "configs": base.configs}
        extended = PlaceholderTokenizer(base.tokenizer, words)
        self.embedding = ExtendedEmbedding(at(base.text_encoder, EMBEDDING), vectors)
        # Both are cached properties of the base: what lies in its dictionary is what they give.
        vars(base).update(tokenizer=extended, configs={**base.configs, "text_encoder": longer})
        put(base.text_encoder, EMBEDDING, self.embedding)

    @property
    def vectors(self) -> jt.Var:
        """(vectors, D): what is trained."""
        return self.embedding.vectors

    def close(self) -> None:
        vars(self.base).update(self.plain)
        put(self.base.text_encoder, EMBEDDING, self.embedding.embedding)


@contextmanager
def token_applied(base: Base, path: Path | None) -> Iterator[None]:
    """The base with the style token of a file for the length of a block; as it is where `path` is None."""
    if path is None:
        yield
        return
    token = StyleToken(base, *load_token(path))
    try:
        yield
    finally:
        token.close()


def initial_vectors(base: Base, settings: TokenConfig) -> np.ndarray:
    """The embedding of the initializer, once for each vector: (vectors, D). UserError when it is not one word."""
    ids = base.tokenizer(settings.initializer, add_special_tokens=False)["input_ids"]
    if len(ids) != 1:
        raise UserError(
            f"token.initializer: {settings.initializer!r} is {len(ids)} words to the tokenizer; take a simpler one"
        )
    row = at(base.text_encoder, EMBEDDING).weight[ids[0]].numpy()
    return np.tile(row.reshape(1, -1), (settings.vectors, 1))


def save_token(path: Path, placeholder: str, vectors: np.ndarray) -> None:
    """Write the token's file, atomically."""
    with needs("train"):
        from safetensors.numpy import save

    write_bytes(path, save({placeholder: np.ascontiguousarray(vectors, np.float32)}, metadata={"format": "pt"}))


def load_token(path: Path) -> tuple[str, np.ndarray]:
    """Placeholder and vectors (vectors, D) of a file. UserError when it is missing or holds no single embedding."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; train the style with its token first")
    tensors = dict(read_tensors([path]))
    if any(parse(name) is not None for name in tensors):
        raise UserError(f"{path}: a LoRA, not a style token; put it beside, as pytorch_lora_weights.safetensors")
    if len(tensors) != 1:
        raise UserError(f"{path}: holds {len(tensors)} tensors, a style token is one; train the style again")
    placeholder, vectors = next(iter(tensors.items()))
    if placeholder in UNNAMED:
        raise UserError(
            f"{path}: an embedding that does not say its word ({placeholder}); save its tensor under the word that "
            "stands for it in prompts, as diffusers does"
        )
    if vectors.dtype.kind != "f" or not np.isfinite(vectors).all():
        raise UserError(f"{path}: its numbers are whole (quantised) or not finite; train the style again")
    return placeholder, np.atleast_2d(vectors)
