"""Means, intervals and paces, beside SciPy."""

import json

import pytest
from scipy import stats

from jdart.config import said
from jdart.trying.ablation import load_ablation
from jdart.trying.figures import T, estimate, is_scored
from jdart.trying.pace import FILE, processor, processors, seconds_a_picture
from jdart.trying.trials import MOST_SEEDS, all_trials


def test_students_quantiles():
    assert len(T) == MOST_SEEDS - 1
    for degrees, value in enumerate(T, 1):
        assert value == pytest.approx(stats.t.ppf(0.975, degrees), abs=5.1e-8)


def test_an_interval_as_scipy_gives_it():
    values = [0.41, 0.44, 0.435]
    low, high = stats.t.interval(0.95, len(values) - 1, loc=sum(values) / 3, scale=stats.sem(values))
    ours = estimate(values)
    assert (ours.mean - ours.half, ours.mean + ours.half) == pytest.approx((low, high), abs=1e-9)
    assert ours.text(4) == "0.4283 ± 0.0399"
    assert estimate([0.25]).text(3, plus=True) == "+0.250"


def test_the_pace_is_a_median_that_a_compilation_does_not_move(tmp_path):
    for number, seconds in enumerate((100.0, 5.0, 4.0)):
        folder = tmp_path / str(number)
        folder.mkdir()
        styles = {"00": {"pictures": 25, "seconds": seconds}}
        (folder / FILE).write_text(json.dumps({"processor": "one", "styles": styles}))
    folders = [tmp_path / str(number) for number in range(4)]
    assert seconds_a_picture(folders) == 0.2
    assert seconds_a_picture(folders[3:]) is None
    assert processors(folders) == ("one",)
    assert processor().endswith(("core", "cores"))


def test_only_a_run_with_the_same_settings_and_styles_counts(tmp_path):
    def trial(*overrides, **settings):
        return all_trials(load_ablation("methods", overrides, str(tmp_path), **settings), 1)[-1]

    plain = trial()
    assert not is_scored(plain)
    run = {"schema_version": 1, "config": said(plain.config), "base": {"sha256": "x"}, "styles": ["00", "01", "02"]}
    (plain.folder / "report").mkdir(parents=True)
    (plain.folder / "run.json").write_text(json.dumps(run))
    report = plain.folder / "report" / "report.json"
    report.write_text(json.dumps({"provenance": {"styles": ["00", "01", "02"]}}))
    assert is_scored(plain)
    assert not is_scored(trial("train.steps=7")), "it was made with other settings"
    assert not is_scored(trial("search={candidates: 2}")), "one picture a prompt"
    assert not is_scored(trial(styles=["00"]))
    report.write_text(json.dumps({"provenance": {"styles": ["00"]}}))
    assert is_scored(trial(styles=["00"])) and not is_scored(plain)
