from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_reports import change, formula, make_report, settle, write

from contest.errors import UserError
from evaluator.analysis.bootstrap import FIGURES, draw_weights
from evaluator.analysis.cells import FEATURES, hold_fid, read_cells
from evaluator.analysis.compare import compare
from evaluator.reporting.report import Pictures
from evaluator.weights.folder import AESTHETIC


def overall(comparison):
    return {row.figure: row for row in comparison.differences if row.style is None}


def edited(made, **edits):
    """Every picture's figures moved by so much."""
    return change(
        made, lambda s, n, scores: replace(scores, **{key: getattr(scores, key) + by for key, by in edits.items()})
    )


def test_an_entry_does_not_differ_from_itself():
    made = make_report([6, 4])
    found = compare(made, made)
    assert found.cells == 10
    assert len(found.differences) == 10 + 2 * 9
    for row in found.differences:
        assert (row.difference, row.low, row.high, row.verdict) == (0, 0, 0, "noise")
        assert row.a == row.b
    assert found.notes == []


@pytest.mark.parametrize(
    ("key", "by", "verdict"),
    [
        ("dino", 0.01, "better"),
        ("dino", -0.01, "worse"),
        ("lpips", 0.01, "worse"),
        ("lpips", -0.01, "better"),
        ("clip_iqa", -0.02, "worse"),
        ("dino", 1e-8, "noise"),  # rounding
    ],
)
def test_a_shift_of_every_picture_is_no_noise_and_has_the_metrics_direction(key, by, verdict):
    made = make_report([6, 4])
    differences = compare(made, edited(made, **{key: by}), resamples=100).differences
    for style in (None, "00", "01"):
        rows = {row.figure: row for row in differences if row.style == style}
        assert [rows[key].difference, rows[key].low, rows[key].high] == pytest.approx([by] * 3)
        assert rows[key].verdict == rows["final"].verdict == verdict
        assert {rows[other].verdict for other in ("hist", "clip_r", "text")} == {"noise"}


def test_a_greater_fid_is_worse():
    made = make_report([20, 20])
    far = settle(made[0], made[1].stems + np.float32(0.5), made[1].real)
    rows = overall(compare(made, far))
    assert rows["fid"].low > 0
    assert {rows[figure].verdict for figure in ("fid", "quality", "final")} == {"worse"}
    rows = overall(compare(far, made))
    assert rows["fid"].high < 0
    assert {rows[figure].verdict for figure in ("fid", "quality", "final")} == {"better"}


def test_differences_and_intervals_agree_with_resampling_by_hand():
    a, b = make_report([5, 4], seed=1), make_report([5, 4], seed=2)
    found = compare(hold(a), hold(b), seed=7, resamples=150)
    weights = draw_weights(a[1].style, 150, 7)

    def figures(cells, counts, styles):
        rows = [np.repeat(np.arange(9), np.where(cells.style == place, counts, 0)) for place in styles]
        means = {
            key: np.mean([cells.values[key][own].mean() for own in rows])
            for key in ("dino", "hist", "lpips", "clip_iqa")
        }
        means["clip_r"] = cells.values["clip_r"][np.concatenate(rows)].mean()
        return {**means, **formula(**means, fid=cells.fid)}

    for name, styles in ((None, (0, 1)), ("00", (0,)), ("01", (1,))):
        rows = {row.figure: row for row in found.differences if row.style == name}
        resampled = [(figures(a[1], counts, styles), figures(b[1], counts, styles)) for counts in weights]
        first, second = (figures(cells, np.ones(9, int), styles) for cells in (a[1], b[1]))
        for figure in set(FIGURES) - {"fid"}:
            row, values = rows[figure], [after[figure] - before[figure] for before, after in resampled]
            assert [row.a, row.b] == pytest.approx([first[figure], second[figure]], abs=1e-12)
            assert row.difference == pytest.approx(second[figure] - first[figure], abs=1e-12)
            assert [row.low, row.high] == pytest.approx(np.percentile(values, [2.5, 97.5]).tolist(), abs=1e-11)
            inside = row.low <= 0 <= row.high
            good = (row.difference < 0) if figure == "lpips" else (row.difference > 0)
            assert row.verdict == ("noise" if inside else "better" if good else "worse")


def test_pairing_makes_the_interval_of_like_entries_narrower():
    made = make_report([12, 12])
    random = np.random.default_rng(0)
    like = change(made, lambda s, n, scores: replace(scores, dino=scores.dino + float(random.normal(0.01, 0.005))))
    other = make_report([12, 12], seed=9)
    paired, unpaired = (overall(compare(made, entry))["dino"] for entry in (like, other))
    assert paired.verdict == "better"
    assert paired.high - paired.low < 0.2 * (unpaired.high - unpaired.low)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda report: replace(report, profile="official-2025"), "profile official-2024 against official-2025"),
        (lambda report: replace(report, contest="other"), "contest sample against other"),
        (lambda report: _proven(report, references=Pictures("refs", "aa" * 32)), "other references"),
        (lambda report: _proven(report, weights={"RN50.pt": "aa" * 32}), "other weights"),
        (lambda report: _proven(report, precision="float16"), "precision float32 against float16"),
    ],
)
def test_what_was_not_scored_alike_is_refused_unless_forced(edit, words):
    made = make_report([4, 4])
    other = edit(made[0]), made[1]
    with pytest.raises(UserError, match=words) as error:
        compare(made, other)
    assert "--force" in str(error.value)
    found = compare(made, other, force=True)
    assert found.notes == [f"forced: {words}"]
    assert found.cells == 8


def test_weights_of_an_extra_do_not_matter():
    made = make_report([3])
    other = _proven(made[0], weights={**made[0].provenance.weights, AESTHETIC: "aa" * 32}), made[1]
    assert compare(made, other).notes == []


def test_forced_over_the_common_cells_every_figure_is_theirs():
    a, b = make_report([6, 5, 4], seed=1), make_report([6, 5, 4], seed=2)
    without_a = {("00", "Noun 00.png"), ("01", "Noun 04.png")}
    without_b = {("00", "Noun 03.png")} | {("02", f"Noun {place:02d}.png") for place in range(4)}
    less_a, less_b = (
        change(made, lambda s, n, scores, gone=gone: None if (s, n) in gone else scores)
        for made, gone in ((a, without_a), (b, without_b))
    )
    both_a, both_b = (
        change(made, lambda s, n, scores: None if (s, n) in without_a | without_b else scores) for made in (a, b)
    )
    with pytest.raises(UserError, match="5 only in A, 2 only in B"):
        compare(less_a, less_b)
    found = compare(less_a, less_b, force=True)
    assert (found.a.left_out, found.b.left_out, found.cells) == (5, 2, 8)
    assert found.notes == ["forced: the pictures differ: 5 only in A, 2 only in B"]
    expected = compare(both_a, both_b).differences
    assert len(expected) == len(found.differences) == 10 + 2 * 9
    for row, other in zip(found.differences, expected):
        assert (row.style, row.figure, row.verdict) == (other.style, other.figure, other.verdict)
        assert [row.a, row.b, row.low, row.high] == pytest.approx(
            [other.a, other.b, other.low, other.high], abs=2e-6 if row.figure == "fid" else 1e-7
        )


def test_the_order_of_styles_makes_no_difference():
    a, b = make_report([5, 4], seed=1), make_report([5, 4], seed=2)
    images = dict(reversed(b[0].images.items()))
    turned = settle(replace(b[0], images=images), np.concatenate([b[1].stems[5:], b[1].stems[:5]]), b[1].real)
    for row, other in zip(compare(a, turned).differences, compare(a, b).differences):
        assert (row.style, row.figure) == (other.style, other.figure)
        assert [row.b, row.low, row.high] == pytest.approx([other.b, other.low, other.high], abs=2e-6)


def test_nothing_in_common_is_refused_even_when_forced():
    a = make_report([3])
    b = replace(a[0], images={"99": a[0].images["00"]})
    with pytest.raises(UserError, match="no picture in common"):
        compare(a, settle(b, a[1].stems, a[1].real), force=True)


def test_without_the_features_of_one_fid_is_held_fixed_in_both():
    a, b = make_report([6, 6], seed=1), make_report([6, 6], seed=2)
    found = compare(a, hold(b))
    assert found.notes == ["FID is held fixed in every interval: no fid_features.npz that fits the report of B"]
    fid = overall(found)["fid"]
    assert (fid.a, fid.b) == (a[0].scores.fid, b[0].scores.fid)
    assert (fid.low, fid.high, fid.verdict) == (None, None, "unknown")
    assert found.differences == compare(hold(a), hold(b)).differences
    less = change(b, lambda s, n, scores: None if n == "Noun 00.png" else scores)
    found = compare(hold(a), less, force=True)
    assert "is that of all pictures" in found.notes[-1]
    assert overall(found)["fid"].a == a[0].scores.fid


def test_styles_of_one_picture_have_no_interval():
    a, b = make_report([1, 5], seed=1), make_report([1, 5], seed=2)
    found = compare(a, b)
    assert found.notes == ["1 of 2 styles with one picture: nothing to resample there"]
    verdicts = {style: {row.verdict for row in found.differences if row.style == style} for style in (None, "00", "01")}
    assert verdicts["00"] == {"unknown"}
    assert "unknown" not in verdicts[None] | verdicts["01"]
    alone = make_report([1, 1])
    assert {row.verdict for row in compare(alone, alone).differences} == {"unknown"}


def test_read_cells_finds_the_features_beside_the_report(tmp_path):
    made = make_report([4, 3])
    run = tmp_path / "run"
    write(run / "report", made)
    for path in (run, run / "report", run / "report" / "report.json"):
        report, cells = read_cells(path)
        assert report == made[0]
        np.testing.assert_array_equal(cells.stems, made[1].stems)
        assert cells.fid == made[0].scores.fid


def _cut(path):
    path.write_bytes(path.read_bytes()[:-200])


def _turned(path):
    data = dict(np.load(path))
    np.savez(path, **{**data, "outputs": data["outputs"] + 1})


def _short(path):
    data = dict(np.load(path))
    np.savez(path, **{**data, "outputs": data["outputs"][1:]})


def _objects(path):
    data = dict(np.load(path))
    np.savez(path, **{**data, "outputs": data["outputs"].astype(object)})


def _nameless(path):
    data = dict(np.load(path))
    np.savez(path, outputs=data["outputs"])


def _shapeless(path):
    data = dict(np.load(path))
    np.savez(path, **{**data, "real_covariance": data["real_covariance"][:, :-1]})


def _nan(path):
    data = dict(np.load(path))
    np.savez(path, **{**data, "real_mean": np.full(64, np.nan)})


def _lone_array(path):
    with path.open("wb") as stream:
        np.save(stream, np.zeros(3))


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"not a zip"),
        _cut,
        _turned,
        _short,
        _objects,
        _nameless,
        _shapeless,
        _nan,
        _lone_array,
    ],
)
def test_features_that_are_broken_or_of_other_pictures_count_as_missing(tmp_path, damage):
    folder = write(tmp_path / "report", make_report([4, 3]))
    damage(folder / FEATURES)
    _, cells = read_cells(folder)
    assert cells.stems is None
    assert cells.real is None


def test_a_report_whose_pictures_do_not_give_its_scores_is_refused(tmp_path):
    report, cells = make_report([4, 3])
    wrong = replace(report, scores=replace(report.scores, lpips=report.scores.lpips - 0.01))
    with pytest.raises(UserError, match=r"says lpips .* but its pictures give"):
        read_cells(write(tmp_path / "wrong", (wrong, cells)))
    with pytest.raises(UserError, match="holds no pictures"):
        read_cells(write(tmp_path / "empty", (replace(report, images={}), cells)))


def hold(made):
    return made[0], hold_fid(made[1])


def _proven(report, **edits):
    return replace(report, provenance=replace(report.provenance, **edits))
