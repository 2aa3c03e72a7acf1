"""Bounds of DINO and LPIPS that no picture passes, from references to report, and the table of what is left."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fixture_contest import PROMPTS, REFERENCES
from made_reports import bound, formula, make_report, write

from evaluator import score_submission
from evaluator.analysis.cells import FEATURES, MEASURED, read_cells
from evaluator.analysis.headroom import find_headroom
from evaluator.backbones.squeezenet import SqueezeNet
from evaluator.extractors.base import unit
from evaluator.metrics.dino import direction_to_ceiling, features_to_mean_cosine
from evaluator.metrics.lpips import Lpips, maps_to_floor
from evaluator.scoring.formula import TERMS
from evaluator.weights import folder as files
from evaluator.weights.folder import open_weights

BOUNDS = {"00": {"dino": 0.7, "lpips": 0.2}, "01": {"dino": 0.5, "lpips": 0.3}}


def test_no_picture_passes_dinos_ceiling_and_the_references_direction_reaches_it():
    random = np.random.default_rng(0)
    direction = unit(random.normal(size=(10, 16)) + 1).mean(axis=0)
    ceiling = direction_to_ceiling(direction)
    assert (features_to_mean_cosine(random.normal(size=(500, 16)) + 1, direction) < ceiling).all()
    assert features_to_mean_cosine(direction[None] * 7, direction)[0] == pytest.approx(ceiling, abs=1e-12)


@pytest.fixture(scope="module")
def by_lpips(pack: Path):
    """The distance of two pictures by the lpips package, with the miniature weights."""
    import lpips

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = lpips.LPIPS(net="squeeze", pnet_rand=True, verbose=False)
    state = torch.load(pack / files.SQUEEZENET)
    for piece in network.net.children():  # slices of the layers, each under its own number
        piece.load_state_dict({name: state[f"features.{name}"] for name in piece.state_dict()})
    heads = torch.load(open_weights(pack).files[files.HEADS], map_location="cpu")
    assert not network.load_state_dict(heads, strict=False).unexpected_keys

    def distance(one: np.ndarray, other: np.ndarray) -> float:
        with torch.inference_mode():
            return float(network(torch.from_numpy(one[None]), torch.from_numpy(other[None])))

    return distance


def test_lpips_floor_is_half_of_what_the_references_have_with_each_other(pack: Path, by_lpips):
    network = SqueezeNet(pack / files.SQUEEZENET, open_weights(pack).files[files.HEADS], "cpu")
    random = np.random.default_rng(1)
    references, others = random.uniform(-1, 1, (2, 3, 3, 256, 256)).astype(np.float32)
    others *= np.float32([1, 0.5, 0])[:, None, None, None]  # the last one is an even grey
    sums = network.sums(references)
    maps = [(total / sums.count).astype(np.float32) for total in sums.maps]
    heads = [head.numpy() for head in network.heads]
    floor = maps_to_floor(maps, sums.energy / sums.count, heads)
    table = np.array([[by_lpips(one, other) for other in references] for one in (*references, *others)])
    assert floor == pytest.approx(table[:3].mean() / 2, rel=1e-3)
    assert 0 < floor < table.mean(axis=1).min()
    assert all((head >= 0).all() for head in heads)


def test_a_lone_reference_has_no_spread():
    random = np.random.default_rng(2)
    maps, head = random.uniform(0, 0.1, (8, 5, 5)).astype(np.float32), random.uniform(0, 1, 8).astype(np.float32)
    energy = float((np.square(maps).mean(axis=(1, 2)) @ head).astype(np.float32))
    assert maps_to_floor([maps], energy - 1e-7, [head]) == 0.0
    assert maps_to_floor([maps], energy + 1e-3, [head]) == pytest.approx(1e-3, rel=1e-2)


@pytest.fixture(scope="module")
def copies(contest: Path, pack: Path, tmp_path_factory) -> Path:
    """The folder of a contest whose entry is its references, each under the name of a prompt, and the report."""
    folder = tmp_path_factory.mktemp("copies")
    shutil.copytree(contest / "references", folder / "references")
    for style, names in REFERENCES.items():
        (folder / "outputs" / style).mkdir(parents=True)
        prompts = PROMPTS[style][: len(names)]
        (folder / "references" / style / "prompt.json").write_text(json.dumps(dict(enumerate(prompts))))
        for name, prompt in zip(names, prompts):
            source = folder / "references" / style / "images" / f"{name}.png"
            shutil.copy(source, folder / "outputs" / style / f"{prompt}.png")
    places = {"references": folder / "references", "weights": pack, "cache": folder / "cache"}
    score_submission(folder / "outputs", **places, out=folder / "report")
    return folder


def test_a_reports_bounds_are_what_scoring_the_references_themselves_says(copies: Path):
    report, cells = read_cells(copies / "report")
    assert list(cells.bounds) == list(report.styles) == list(REFERENCES)
    for style, own in cells.bounds.items():
        # |mean_i b_i|^2 = mean_ij <b_i, b_j>, and the mean distance over all pairs is twice the spread
        assert own["dino"] ** 2 == pytest.approx(report.styles[style].dino, rel=1e-6)
        assert own["lpips"] * 2 == pytest.approx(report.styles[style].lpips, rel=1e-4)
        for scores in report.images[style].values():
            assert scores.dino < own["dino"]
            assert scores.lpips > own["lpips"] > 0


def test_bounds_come_from_the_cache_without_torch(copies: Path, pack: Path, monkeypatch):
    code = (
        "import sys; from evaluator import score_submission as score; where = sys.argv[1]; "
        "score(f'{where}/outputs', references=f'{where}/references', weights=sys.argv[2], cache=f'{where}/cache', "
        "out=f'{where}/again'); print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(copies), str(pack)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"
    assert read_cells(copies / "again")[1].bounds == read_cells(copies / "report")[1].bounds

    def other(self, references):
        return 0.125

    monkeypatch.setattr(Lpips, "bound", other)  # with nothing cached it is asked
    places = {"references": copies / "references", "weights": pack}
    score_submission(copies / "outputs", **places, cache=False, out=copies / "uncached")
    assert {own["lpips"] for own in read_cells(copies / "uncached")[1].bounds.values()} == {0.125}


def _without(data):
    return {name: array for name, array in data.items() if name != "lpips_bounds"}


def _short(data):
    return {**data, "dino_bounds": data["dino_bounds"][1:]}


def _nan(data):
    return {**data, "lpips_bounds": np.full(2, np.nan)}


@pytest.mark.parametrize("damage", [_without, _short, _nan])
def test_bounds_that_are_not_these_styles_are_not_known(tmp_path, damage):
    made = bound(make_report([4, 3]))
    folder = write(tmp_path / "report", made)
    assert read_cells(folder)[1].bounds == made[1].bounds
    np.savez(folder / FEATURES, **damage(dict(np.load(folder / FEATURES))))
    _, cells = read_cells(folder)
    assert cells.bounds is None
    assert find_headroom(cells) == []
    np.testing.assert_array_equal(cells.stems, made[1].stems)


def test_features_of_other_pictures_bring_no_bounds(tmp_path):
    one, other = (write(tmp_path / str(seed), bound(make_report([4, 3], seed=seed))) for seed in (1, 2))
    shutil.copy(one / FEATURES, other / FEATURES)
    assert read_cells(other)[1].bounds is None


def test_every_row_by_hand():
    _, cells = make_report([5, 3])
    found = {(row.style, row.metric): row for row in find_headroom(replace(cells, bounds=BOUNDS))}
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


def test_the_styles_gains_make_up_the_entrys():
    rows = find_headroom(bound(make_report([5, 3, 4]))[1])
    for whole in rows[: len(TERMS)]:
        own = [row.gain for row in rows if row.metric == whole.metric and row.style is not None]
        assert whole.style is None
        assert own == [] if whole.metric == "fid" else sum(own) == pytest.approx(whole.gain, abs=1e-12)


def test_what_is_at_its_bound_gains_nothing():
    _, cells = make_report([4, 4])
    values = {**cells.values, "lpips": np.repeat([0.2, 0.3], 4), "hist": np.ones(8)}
    cells = replace(cells, values=values, bounds=BOUNDS)
    for row in find_headroom(cells):
        if row.metric in ("lpips", "hist"):
            assert (row.reached, row.gain) == pytest.approx((1, 0), abs=1e-12)
    # a style whose references are so unlike each other that no picture gets anything
    hopeless = replace(cells, bounds={**BOUNDS, "00": {"dino": 0.0, "lpips": 1.0}})
    assert {row.metric for row in find_headroom(hopeless) if row.reached is None} == {"dino", "lpips"}
