"""Candidates with random figures, and Final written out by hand."""

import numpy as np
from scipy import linalg

from evaluator.metrics.fid import features_to_moments
from jdart.searching.candidates import Candidates

KEYS = ("dino", "hist", "lpips", "clip_iqa", "clip_r")


def make(seed, sizes=(3, 3), ways=3, width=4, spread=1.0, lpips=0.5, shift=0.0):
    """So many cells in each style, each drawn in so many ways -> candidates, the references' features."""
    random = np.random.default_rng(seed)
    cells, rows = sum(sizes), sum(sizes) * ways
    references = random.normal(size=(20, width)) * spread
    values = {key: random.uniform(0.2, 0.8, rows) for key in KEYS}
    values["lpips"] += lpips - 0.5
    values["clip_r"] = (values["clip_r"] > 0.5).astype(float)
    candidates = Candidates(
        styles=tuple("abcdef"[: len(sizes)]),
        style=np.repeat(np.arange(len(sizes)), sizes),
        names=tuple(f"{place}.png" for place in range(cells)),
        cell=np.repeat(np.arange(cells), ways),
        way=np.tile(np.arange(ways), cells),
        values=values,
        stems=((random.normal(size=(rows, width)) + 0.3) * spread + shift).astype(np.float32),
        real=features_to_moments(references),
    )
    return candidates, references


def fid_by_hand(stems, references):
    """By SciPy's root of a matrix."""
    one, other = stems.astype(np.float64), references.astype(np.float64)
    first, second = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    root = np.real(np.asarray(linalg.sqrtm(first @ second)))
    return np.sum((one.mean(axis=0) - other.mean(axis=0)) ** 2) + np.trace(first + second - 2 * root)


def final_by_hand(candidates, rows, references):
    mean = {}
    for key in KEYS[:4]:
        per_style = [
            np.mean(candidates.values[key][rows[candidates.style == place]]) for place in range(len(candidates.styles))
        ]
        mean[key] = np.mean(per_style)
    right = 0.5 * np.mean(candidates.values["clip_r"][rows]) + 0.1 * mean["clip_iqa"]
    right += 0.4 * (20 - min(20, fid_by_hand(candidates.stems[rows], references))) / 20
    return (0.2 * mean["dino"] + 0.4 * mean["hist"] + 0.4 * max(0, 1 - mean["lpips"])) * right
