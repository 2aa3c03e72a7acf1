"""Bounds of DINO and LPIPS that no picture passes, and the table of what is left."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_reports import formula, make_report

from evaluator.analysis.cells import MEASURED
from evaluator.analysis.explain import TERMS
from evaluator.analysis.headroom import dino_ceiling, find_headroom, lpips_floor
from evaluator.backbones.squeezenet import SqueezeNet
from evaluator.extractors.base import unit
from evaluator.metrics.dino import features_to_mean_cosine
from evaluator.weights import folder as files
from evaluator.weights.folder import open_weights

BOUNDS = {"00": {"dino": 0.7, "lpips": 0.2}, "01": {"dino": 0.5, "lpips": 0.3}}


def test_no_picture_passes_dinos_ceiling_and_the_references_direction_reaches_it():
    random = np.random.default_rng(0)
    direction = unit(random.normal(size=(10, 16)) + 1).mean(axis=0)
    ceiling = dino_ceiling(direction)
    assert (features_to_mean_cosine(random.normal(size=(500, 16)) + 1, direction) < ceiling).all()
    assert features_to_mean_cosine(direction[None] * 7, direction)[0] == pytest.approx(ceiling, abs=1e-12)


def test_lpips_floor_is_half_of_what_the_references_have_with_each_other(pack: Path):
    network = SqueezeNet(pack / files.SQUEEZENET, open_weights(pack).files[files.HEADS], "cpu")
    random = np.random.default_rng(1)
    references, others = random.uniform(-1, 1, (2, 3, 3, 256, 256)).astype(np.float32)
    others *= np.float32([1, 0.5, 0])[:, None, None, None]  # the last one is an even grey
    sums = network.sums(references)
    maps = [(total / sums.count).astype(np.float32) for total in sums.maps]
    energy, heads = sums.energy / sums.count, [head.numpy() for head in network.heads]
    floor = lpips_floor(maps, energy, heads)
    assert floor == pytest.approx(network.distances(references, maps, energy).mean() / 2, rel=1e-4)
    assert 0 < floor < network.distances(np.concatenate([references, others]), maps, energy).min()
    assert all((head >= 0).all() for head in heads)


def test_every_row_by_hand():
    _, cells = make_report([5, 3])
    found = {(row.style, row.metric): row for row in find_headroom(cells, BOUNDS)}
    assert list(found) == [(None, term) for term in TERMS] + [(style, key) for style in BOUNDS for key in MEASURED]
    styles = {"00": slice(0, 5), "01": slice(5, 8)}
    now = {key: np.mean([cells.values[key][own].mean() for own in styles.values()]) for key in MEASURED}
    now |= {"clip_r": cells.values["clip_r"].mean(), "fid": cells.fid}
    before = formula(**now)["final"]
    for (style, key), row in found.items():
        value = now[key] if style is None else cells.values[key][styles[style]].mean()
        bound = {"hist": 1, "clip_iqa": 1, "clip_r": 1, "fid": 0, "dino": 0.6, "lpips": 0.25}[key]
        share = 1.0
        if style is not None:
            bound = BOUNDS[style].get(key, bound)
            share = {"00": 5 / 8, "01": 3 / 8}[style] if key == "clip_r" else 0.5
        assert (row.now, row.bound) == pytest.approx((value, bound), abs=1e-12)
        start = {"lpips": 1, "fid": 20}.get(key, 0)
        assert row.reached == pytest.approx((start - value) / (start - bound), abs=1e-12)
        then = formula(**{**now, key: now[key] + share * (bound - value) / 2})["final"]
        assert row.gain == pytest.approx(then - before, abs=1e-12)
        assert row.gain >= 0


def test_what_is_at_its_bound_gains_nothing():
    _, cells = make_report([4, 4])
    cells = replace(cells, values={**cells.values, "lpips": np.repeat([0.2, 0.3], 4), "hist": np.ones(8)})
    for row in find_headroom(cells, BOUNDS):
        if row.metric in ("lpips", "hist"):
            assert (row.reached, row.gain) == pytest.approx((1, 0), abs=1e-12)
    # a style whose references are so unlike each other that no picture gets anything
    at_one = find_headroom(cells, {**BOUNDS, "00": {"dino": 0.0, "lpips": 1.0}})
    assert {row.reached for row in at_one if row.style == "00" and row.metric in ("dino", "lpips")} == {1.0}
