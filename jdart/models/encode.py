"""Captions and prompts through the text encoder."""

from __future__ import annotations

import jittor as jt
import numpy as np

from jdart.models.build import Base


def encode_text(base: Base, tokens: np.ndarray) -> np.ndarray:
    """(N, 77) ids -> (N, 77, D) float32; equal rows are encoded once."""
    unique, where = np.unique(tokens, axis=0, return_inverse=True)
    with jt.no_grad():
        rows = [base.text_encoder(jt.array(unique[i : i + 16])).numpy() for i in range(0, len(unique), 16)]
    return np.concatenate(rows)[where.reshape(-1)]
