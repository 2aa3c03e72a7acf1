import csv
import io

import pytest
from some_reports import make

from leaderboard.entries import as_records, as_table, rank_reports
from leaderboard.reports import read_report
from submission import UserError


def sections_of(*folders):
    return rank_reports([read_report(folder) for folder in folders])


def test_ranked_as_numbers_best_first_and_ties_share(tmp_path):
    finals = {"a": 0.5, "b": 0.0912, "c": 0.5, "d": 1e-5, "e": 0.1}  # as text, 1e-05 would come first
    reports = [make(tmp_path / name, name, final) for name, final in finals.items()]
    (section,) = sections_of(*reports)
    assert [(row.rank, row.title) for row in section.rows] == [
        (1, "a"),
        (1, "c"),
        (3, "e"),
        (4, "b"),
        (5, "d"),
    ]
    assert rank_reports([read_report(folder) for folder in reversed(reports)]) == [section]


def test_report_run_and_file_are_the_same_report_and_count_once(tmp_path):
    run = tmp_path / "run"
    report = make(run / "report")
    (section,) = sections_of(run, report, report / "report.json")
    assert len(section.rows) == 1


def test_same_name_twice_is_told_apart(tmp_path):
    (section,) = sections_of(make(tmp_path / "a", final=0.1), make(tmp_path / "b", final=0.2))
    titles = [row.title for row in section.rows]
    assert len(set(titles)) == 2
    assert all(title.startswith("demo · ") for title in titles)
    assert len({row.slug for row in section.rows}) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r.update(contest="other"),
        lambda r: r.update(profile="later"),
        lambda r: r["provenance"]["references"].update(sha256="00" * 32),
        lambda r: r["provenance"]["weights"].update({"RN50.pt": "00"}),
    ],
)
def test_what_was_scored_differently_is_never_ranked_together(tmp_path, change):
    sections = sections_of(make(tmp_path / "a", "a"), make(tmp_path / "b", "b", change=change))
    assert [(len(one.rows), one.rows[0].rank) for one in sections] == [(1, 1), (1, 1)]


def test_incomplete_and_not_comparable_are_apart_with_reasons(tmp_path):
    def toy(report):
        why = ["toy weights: not comparable with the contest"]
        report["provenance"].update(comparable=False, not_comparable_because=why)

    def partial(report):
        report["provenance"].update(complete=False)
        report["scores"]["fid"] = None

    sections = sections_of(
        make(tmp_path / "1", "good", 0.1),
        make(tmp_path / "2", "toy low", 0.8, toy),
        make(tmp_path / "3", "toy high", 0.9, toy),
        make(tmp_path / "4", "partial", 0.95, partial),
    )
    assert [(one.status, [row.title for row in one.rows]) for one in sections] == [
        ("ranked", ["good"]),
        ("incomplete", ["partial"]),
        ("not comparable", ["toy high", "toy low"]),
    ]
    assert [[row.rank for row in one.rows] for one in sections] == [[1], [None], [1, 2]]
    assert sections[1].rows[0].reasons == ("not every picture of the contest was scored",)
    assert sections[2].rows[0].reasons == sections[2].reasons == ("toy weights: not comparable with the contest",)


def test_only_what_is_not_comparable_for_the_same_reasons_is_ranked_together(tmp_path):
    def because(*reasons):
        return lambda report: report["provenance"].update(comparable=False, not_comparable_because=list(reasons))

    sections = sections_of(
        make(tmp_path / "1", "a", 0.1, because("toy weights")),
        make(tmp_path / "2", "b", 0.8, because("toy weights", "calculated in float16")),
        make(tmp_path / "3", "c", 0.9, because("toy weights")),
        make(tmp_path / "4", "d", 0.2, because()),
    )
    assert [[(row.rank, row.title) for row in one.rows] for one in sections] == [
        [(1, "d")],
        [(1, "c"), (2, "a")],
        [(1, "b")],
    ]
    assert sections[0].reasons == ("the evaluator says so",)


def test_table_and_records_agree(tmp_path):
    sections = sections_of(make(tmp_path / "a", "=1+1", 0.25), make(tmp_path / "b", "b", 0.5))
    records = as_records(sections)
    assert [(one["rank"], one["name"], one["final"]) for one in records] == [(1, "b", 0.5), (2, "=1+1", 0.25)]
    rows = list(csv.DictReader(io.StringIO(as_table(sections).to_csv(index=False))))
    assert [(row["rank"], row["name"]) for row in rows] == [("1", "b"), ("2", "'=1+1")]  # no formula
    assert [float(row["final"]) for row in rows] == [0.5, 0.25]


def set_in(*path_and_value):
    *path, last, value = path_and_value

    def change(report):
        for key in path:
            report = report[key]
        report[last] = value

    return change


def drop(*path):
    def change(report):
        for key in path[:-1]:
            report = report[key]
        del report[path[-1]]

    return change


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (set_in("schema_version", 2), "schema_version 1"),
        (set_in("scores", "final", float("nan")), "final must be a finite number"),
        (set_in("scores", "final", float("inf")), "final must be a finite number"),
        (set_in("scores", "final", 10**400), "final must be a finite number"),
        (set_in("scores", "final", "0.5"), "final must be a finite number"),
        (set_in("scores", "final", True), "final must be a finite number"),
        (set_in("scores", "fid", None), "fid must be a finite number"),
        (drop("scores", "fid"), "fid must be a finite number"),
        (set_in("scores", []), "scores must be an object"),
        (drop("provenance"), "provenance is missing"),
        (drop("provenance", "complete"), "complete is missing"),
        (set_in("provenance", "comparable", "yes"), "comparable must be true or false"),
        (set_in("provenance", "weights", "RN50.pt", 5), "RN50.pt must be text"),
        (set_in("provenance", "not_comparable_because", [5]), "must be a list of text"),
        (set_in("submission", "name", 5), "name must be text"),
        (set_in("submission", "name", "\ud800"), "not valid Unicode"),
        (set_in("scores", "final", [[]]), "final must be a finite number, not list"),
        (set_in("styles", "\x1b[2J\ud800", 5), r"\\x1b\[2J\\ud800 must be an object"),
        (set_in("styles", "00", "dino", "x"), "dino must be a finite number"),
        (set_in("styles", "../../x", {}), "cannot name a style or picture"),
        (set_in("images", "00", "../../../etc/passwd.png", {}), "cannot name a style or picture"),
        (set_in("images", "..", {}), "cannot name a style or picture"),
        (set_in("images", "00", "a\0.png", {}), "cannot name a style or picture"),
        (set_in("images", "00", "a\\b.png", {}), "cannot name a style or picture"),
        (
            set_in("images", "00", "Dolphin.png", "clip_r_correct", "yes"),
            "clip_r_correct must be true or false",
        ),
        (set_in("images", "00", "Dolphin.png", 5), "Dolphin.png must be an object"),
    ],
)
def test_report_that_is_not_one_is_refused_by_name(tmp_path, change, part):
    folder = make(tmp_path / "r", change=change)
    with pytest.raises(UserError, match=part) as caught:
        read_report(folder)
    assert str(folder / "report.json") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "[" * 100_000])
def test_file_that_is_no_report(tmp_path, text):
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(UserError, match=r"report\.json"):
        read_report(tmp_path)


def test_missing_report(tmp_path):
    with pytest.raises(UserError, match="jdart-eval"):
        read_report(tmp_path)
    with pytest.raises(UserError, match="no such file"):
        read_report(tmp_path / "nothing.json")


def test_many_problems_stay_one_line(tmp_path):
    folder = make(tmp_path / "r", change=lambda report: report.update(styles={f"{i}": 5 for i in range(99)}))
    with pytest.raises(UserError, match=r"and \d+ more") as caught:
        read_report(folder)
    assert len(str(caught.value)) < 1000
