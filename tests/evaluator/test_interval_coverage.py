"""How often 95 % intervals hold the truth: those of jdart-eval (percentile), and BCa in their place.

BCa: Efron, Better Bootstrap Confidence Intervals (1987); several samples as scipy.stats.bootstrap has them. It is not
in jdart-eval, because it does not cover better there: see docs/evaluator.md, whose figures `-m slow -s` prints.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from made_reports import make_report
from scipy import stats

from evaluator.analysis.bootstrap import draw_weights, interval, replicate_fid
from evaluator.analysis.cells import MEASURED, weights_to_means
from evaluator.analysis.frechet import weights_to_fids
from evaluator.metrics.fid import features_to_moments
from evaluator.scoring.formula import metrics_to_scores

LEVEL = 0.95
WORLDS, ENTRIES = 20, 100  # of each; in one alone a binomial's steps decide, as with CLIP-R in a single style
FID = 6.0  # in Final, where only the other five move
# entry -> pictures of each style: board A of the contest, a short list of prompts, one style alone
SIZES = {"15 styles of 25": [25] * 15, "4 styles of 6": [6] * 4, "1 style of 25": [25]}


def leave_one_out(style):
    """(N, N) weights: row i is without cell i, its style's others in its place."""
    weights = np.ones((len(style), len(style)))
    for place in range(style.max() + 1):
        own = np.flatnonzero(style == place)
        weights[np.ix_(own, own)] = len(own) / (len(own) - 1)
    np.fill_diagonal(weights, 0)
    return weights


def bca(replicates, score, without, style):
    """Replicates (B, T), scores (T), jackknife (N, T) -> the ends of T intervals, (2, T)."""
    below = (replicates < score).mean(0) / 2 + (replicates <= score).mean(0) / 2  # ties half, as scipy does
    bias = stats.norm.ppf(below)
    third, second = 0.0, 0.0
    for place in range(style.max() + 1):
        own = without[style == place]
        influence = (len(own) - 1) * (own.mean(0) - own)
        third = third + (influence**3).sum(0) / len(own) ** 3
        second = second + (influence**2).sum(0) / len(own) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        acceleration = third / (6 * second**1.5)
    ends = []
    for z in stats.norm.ppf(((1 - LEVEL) / 2, (1 + LEVEL) / 2)):
        share = stats.norm.cdf(bias + (bias + z) / (1 - acceleration * (bias + z)))
        columns = zip(replicates.T, np.nan_to_num(share, nan=0.5))
        ends.append([np.quantile(column, end) for column, end in columns])
    return np.array(ends)


def test_bca_is_scipys():
    rng = np.random.default_rng(3)
    samples = [rng.gamma(1.5, size=size) for size in (9, 14, 5)]
    style = np.repeat(np.arange(3), [9, 14, 5])
    values = np.concatenate(samples)
    shares = 1 / (3 * np.bincount(style)[style])

    def mean_of_means(*parts, axis):
        return sum(part.mean(axis) for part in parts) / 3

    theirs = stats.bootstrap(samples, mean_of_means, method="BCa", n_resamples=2000, rng=np.random.default_rng(1))
    replicates = theirs.bootstrap_distribution[:, None]
    without = (leave_one_out(style) @ (shares * values))[:, None]
    ours = bca(replicates, np.array([shares @ values]), without, style)
    np.testing.assert_allclose(ours[:, 0], theirs.confidence_interval, rtol=1e-12)


@dataclass
class World:
    """Styles whose pictures' figures are drawn from known laws: skewed as cosines, distances and probabilities are."""

    sizes: list
    seed: int

    def __post_init__(self):
        rng = np.random.default_rng([8, self.seed])
        count = len(self.sizes)
        self.laws = {
            "dino": stats.beta(rng.uniform(6, 10, count), rng.uniform(4, 8, count)),
            "hist": stats.beta(rng.uniform(2, 4, count), rng.uniform(2, 5, count)),
            "lpips": stats.lognorm(0.12, scale=rng.uniform(0.5, 0.7, count)),
            "clip_iqa": stats.beta(rng.uniform(5, 8, count), rng.uniform(1, 2, count)),
            "clip_r": stats.bernoulli(rng.uniform(0.8, 0.98, count)),
        }

    @property
    def style(self):
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    def entries(self, count):
        """Figure -> (N, count): so many entries of the same styles to other prompts."""
        rng = np.random.default_rng([9, self.seed])
        shape = (max(self.sizes), count, len(self.sizes))
        drawn = {key: law.rvs(shape, random_state=rng) for key, law in self.laws.items()}
        return {
            key: np.concatenate([v[:size, :, place] for place, size in enumerate(self.sizes)]).astype(float)
            for key, v in drawn.items()
        }

    def truth(self):
        means = {key: float(law.mean().mean()) for key, law in self.laws.items()}
        return {**means, "final": metrics_to_scores(fid=FID, **means).final}


def figures(weights, values, style):
    """(B, N) weights, figure -> (N, T) -> figure -> (B, T), as `weights_to_means` has it, and Final."""
    shares = 1 / (np.bincount(style)[style] * (style.max() + 1))
    means = {key: weights @ (shares[:, None] * values[key]) for key in MEASURED if key != "clip_r"}
    means["clip_r"] = weights @ values["clip_r"] / len(style)
    part = 0.2 * means["dino"] + 0.4 * means["hist"] + 0.4 * np.maximum(0, 1 - means["lpips"])
    rest = 0.5 * means["clip_r"] + 0.4 * (20 - FID) / 20 + 0.1 * means["clip_iqa"]
    return {**means, "final": part * rest}


def coverage(ends, truth):
    return float(((ends[0] <= truth) & (truth <= ends[1])).mean())


def test_the_figures_are_those_of_the_evaluator():
    _, cells = make_report([5, 3, 6])
    weights = draw_weights(cells.style, 50, 0)
    ours = figures(weights, {key: value[:, None] for key, value in cells.values.items()}, cells.style)
    theirs = weights_to_means(cells, weights)
    for key in MEASURED:
        np.testing.assert_allclose(ours[key][:, 0], theirs[key], rtol=1e-12)
    last = {key: float(theirs[key][-1]) for key in MEASURED}
    assert ours["final"][-1, 0] == pytest.approx(metrics_to_scores(fid=FID, **last).final)


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZES)
def test_percentile_intervals_cover_as_well_as_bca(name):
    worlds = [World(SIZES[name], seed) for seed in range(WORLDS)]
    style = worlds[0].style
    weights, once, each = draw_weights(style, 1000, 0), np.ones((1, len(style))), leave_one_out(style)
    found = {}
    for world in worlds:
        truth, values = world.truth(), world.entries(ENTRIES)
        replicates, scores, without = (figures(taken, values, style) for taken in (weights, once, each))
        for key, drawn in replicates.items():
            ends = np.quantile(drawn, [0.025, 0.975], axis=0), bca(drawn, scores[key][0], without[key], style)
            found.setdefault(key, []).append([coverage(pair, truth[key]) for pair in ends])
    rows = {key: np.mean(pairs, axis=0) for key, pairs in found.items()}
    for key, (plain, better) in rows.items():
        print(f"{name:16} {key:9} percentile {100 * plain:5.1f} %   BCa {100 * better:5.1f} %")
    gains = [abs(plain - LEVEL) - abs(better - LEVEL) for plain, better in rows.values()]
    assert np.mean(gains) < 0.01  # on average BCa comes less than one point nearer to 95 %
    if name == "15 styles of 25":
        assert all(0.92 < plain < 0.97 for plain, _ in rows.values())


@pytest.mark.slow
def test_percentile_intervals_of_fid_cover_as_well_as_bca():
    """The truth is the mean FID of entries of this size, as FID grows with fewer pictures."""
    _, made = make_report([6] * 8)
    rng = np.random.default_rng(4)
    mixing = rng.normal(size=(12, 12)) / 3
    real = features_to_moments(rng.normal(size=(60, 12)) @ mixing)
    style, count = made.style, 300
    weights, scores, ends = draw_weights(style, 400, 0), [], {"percentile": [], "BCa": []}
    once, without = np.ones((1, len(style))), leave_one_out(style)
    for _ in range(count):
        stems = np.exp(0.4 * rng.normal(size=(len(style), 12))) @ mixing  # skewed
        fid = float(weights_to_fids(stems, once, real)[0])
        drawn = replicate_fid(replace(made, fid=fid, stems=stems, real=real), weights)
        scores.append(fid)
        ends["percentile"].append(interval(drawn))
        out = weights_to_fids(stems, without, real)[:, None]
        ends["BCa"].append(bca(drawn[:, None], np.array([fid]), out, style)[:, 0])
    found = {key: coverage(np.array(pairs).T, np.mean(scores)) for key, pairs in ends.items()}
    print(f"{'8 styles of 6':16} {'fid':9}", *(f"{key} {100 * value:5.1f} %  " for key, value in found.items()))
    assert abs(found["percentile"] - LEVEL) < abs(found["BCa"] - LEVEL) + 0.02
