"""Rankings, and the same as data."""

import csv
import io
import itertools
import json
from pathlib import Path

import jsonschema
import pytest
from some_reports import make, make_run

from leaderboard import entries
from leaderboard.entries import rank_reports
from leaderboard.reading.records import as_csv, as_json, as_records, schema_bytes
from leaderboard.reading.reports import read_report


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


def test_who_shares_a_rank_is_marked(tmp_path):
    finals = {"a": 0.5, "b": 0.4, "c": 0.5}
    (section,) = sections_of(*(make(tmp_path / name, name, final) for name, final in finals.items()))
    assert [(row.title, row.rank, row.tied) for row in section.rows] == [
        ("a", 1, True),
        ("c", 1, True),
        ("b", 3, False),
    ]


def possible_ranks(intervals):
    """The ranks that each of the entries has in some order that no pair of intervals forbids, by trying all orders."""
    found = [set() for _ in intervals]
    for order in itertools.permutations(range(len(intervals))):
        # b may stand below a unless b's interval lies wholly above that of a
        if all(intervals[b][0] <= intervals[a][1] for a, b in itertools.combinations(order, 2)):
            for rank, i in enumerate(order, 1):
                found[i].add(rank)
    return [(min(ranks), max(ranks)) for ranks in found]


@pytest.mark.parametrize(
    "intervals",
    [
        [(0.5, 0.6), (0.5, 0.6), (0.5, 0.6)],
        [(0.7, 0.8), (0.5, 0.6), (0.1, 0.2)],
        [(0.5, 0.8), (0.45, 0.7), (0.4, 0.5), (0.3, 0.44), (0.1, 0.9)],
        [(0.6, 0.7), (0.5, 0.6), (0.4, 0.5)],  # ends that touch do not tell apart
    ],
)
def test_rank_ranges_are_what_the_intervals_allow(tmp_path, intervals):
    reports = [make(tmp_path / f"{i}", f"{i}", sum(ends) / 2, interval=ends) for i, ends in enumerate(intervals)]
    (section,) = sections_of(*reports)
    found = {row.title: row.rank_range for row in section.rows}
    assert [found[f"{i}"] for i in range(len(intervals))] == possible_ranks(intervals)
    assert all(row.rank_range[0] <= row.rank <= row.rank_range[1] for row in section.rows)


def test_entry_without_an_interval_counts_by_its_final(tmp_path):
    reports = [make(tmp_path / "a", "a", 0.5, interval=(0.4, 0.6)), make(tmp_path / "b", "b", 0.55)]
    (section,) = sections_of(*reports, make(tmp_path / "c", "c", 0.3))
    assert {row.title: row.rank_range for row in section.rows} == {"a": (1, 2), "b": None, "c": None}


def test_rankings_have_names_that_last(tmp_path):
    def other(report):
        report.update(contest="../Контест", profile="p" * 999)

    def toy(report):
        why = ["toy weights: not comparable with the contest"]
        report["provenance"].update(comparable=False, not_comparable_because=why)

    def partial(report):
        toy(report)
        report["provenance"].update(complete=False)

    reports = [make(tmp_path / "a", "a"), make(tmp_path / "b", "b", change=other)]
    reports += [make(tmp_path / "c", "c", change=toy), make(tmp_path / "d", "d", change=partial)]
    sections = sections_of(*reports)
    slugs = {section.rows[0].title: section.slug for section in sections}
    assert len(set(slugs.values())) == 4
    assert all(slug.replace("-", "").isalnum() and slug.isascii() and len(slug) < 100 for slug in slugs.values())
    assert slugs["a"].startswith("sample-official-2024-efefefef-")
    assert {section.rows[0].title: section.toy for section in sections} == dict(a=False, b=False, c=True, d=True)
    assert sections_of(reports[0])[0].slug == slugs["a"]  # whatever else is on the board


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
    rows = list(csv.DictReader(io.StringIO(as_csv(records).decode("utf-8-sig"))))
    assert [(row["rank"], row["name"]) for row in rows] == [("1", "b"), ("2", "'=1+1")]  # no formula
    assert [float(row["final"]) for row in rows] == [0.5, 0.25]
    assert (rows[0]["interval_low"], rows[0]["rank_range_high"], rows[0]["tags"]) == ("", "", "")


def test_board_json_is_what_its_schema_says(tmp_path):
    def partial(report):
        report["provenance"].update(complete=False)
        report["scores"]["fid"] = None

    meta = {"team": "T", "tags": ["a", "b"], "date": "2024-06-30", "note": "n", "link": "https://example.org/"}
    sections = sections_of(
        make_run(tmp_path / "a", "a", 0.5, interval=(0.4, 0.6), meta=meta),
        make(tmp_path / "b", "b", 0.5),
        make(tmp_path / "c", "c", change=partial),
    )
    board = json.loads(as_json("B", as_records(sections)))
    schema = json.loads(schema_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(board, schema)
    a, b, c = board["entries"]
    assert {key: a[key] for key in meta} == meta
    assert (a["rank"], a["tied"], a["rank_range"], a["interval"], a["commit"]) == (
        1,
        True,
        [1, 2],
        [0.4, 0.6],
        "12" * 20,
    )
    assert (b["rank_range"], b["team"], b["commit"]) == (None, None, None)
    assert (c["status"], c["rank"], c["fid"]) == ("incomplete", None, None)
    assert a["styles"]["01"]["dino"] == 0.3
    for broken in ({**a, "rank": "1"}, {key: a[key] for key in a if key != "final"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**board, "entries": [broken]}, schema)


def test_published_schema_is_that_of_the_code():
    assert Path(entries.__file__).with_name("board.schema.json").read_bytes() == schema_bytes()
