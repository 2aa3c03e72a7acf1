"""What is read of a report and what lies beside it, and what is refused."""

import csv
import datetime
import io
import json

import pytest
from some_reports import RUN, draw, make, make_run

from leaderboard.reading.gather import read_reports
from leaderboard.reading.reports import Meta, read_report
from submission import UserError


def test_intervals_and_the_pictures_own_metrics(tmp_path):
    report = read_report(make(tmp_path / "r", interval=(0.4, 0.6)))
    assert report.interval == (0.4, 0.6)
    (sun,) = report.images["01"]
    assert (sun.prompt, sun.hit, sun.rank, sun.top5) == ("Sun", True, 2, ("moon", "sun"))
    assert dict(sun.scores) == {"dino": 0.1}
    assert read_report(make(tmp_path / "old")).interval is None


def test_without_a_description_or_a_run_nothing_is_known(tmp_path):
    report = read_report(make(tmp_path / "r"))
    assert (report.meta, report.run, report.name) == (Meta(), None, "demo")


@pytest.mark.parametrize("place", ["report/entry.yaml", "report/entry.json", "entry.yaml", "entry.yml"])
def test_description_beside_the_report_or_in_the_run_folder(tmp_path, place):
    make_run(tmp_path / "run")
    said = {
        "name": "Ours",
        "team": "Team 7",
        "tags": ["lora", "fast", "lora"],
        "date": "2024-06-30",
        "note": "two\nlines",
        "link": "https://example.org/a?b=c#d",
    }
    (tmp_path / "run" / place).write_text(json.dumps(said))
    report = read_report(tmp_path / "run")
    assert report.name == "Ours"
    assert report.meta == Meta("Team 7", ("lora", "fast"), "2024-06-30", "two lines", said["link"])


def test_description_as_people_write_it(tmp_path):
    folder = make(tmp_path / "r")
    (folder / "entry.yaml").write_text(
        "team: 青团\ntags: [a, 'b c']\ndate: 2024-06-30 # a date to YAML\nnote:\n", "utf-8"
    )
    assert read_report(folder).meta == Meta("青团", ("a", "b c"), "2024-06-30")
    (folder / "entry.yaml").write_text("date: 2024-06-30T12:00:00+08:00\n")
    assert datetime.datetime.fromisoformat(read_report(folder).meta.date).timestamp() == 1719720000
    (folder / "entry.yaml").write_text("# nothing yet\n")
    assert read_report(folder).meta == Meta()


def test_a_description_above_a_lone_report_folder_is_anothers(tmp_path):
    make(tmp_path / "all" / "mine")
    (tmp_path / "all" / "entry.yaml").write_text("team: of somebody else")
    assert read_report(tmp_path / "all" / "mine").meta.team is None


@pytest.mark.parametrize(
    ("said", "part"),
    [
        ("team: [a]", "team must be text in quotes"),
        ("team: 5", "team must be text in quotes"),
        ("team: 007", "team must be text in quotes"),  # 7 to YAML
        ("name: No", "name must be text in quotes"),  # false to YAML
        ("name: 2024-06-30", "name must be text in quotes"),
        ("note: 1e3\nteam: 1_0", "team must be text in quotes$"),
        ("tags: lora", r"tags must be a list such as \[one, two\]"),
        ("tags: [1]", "tags must be a list of text in quotes"),
        ("tags: [off]", "tags must be a list of text in quotes"),
        ("team: Alpha\nteam: Beta\n", "'team' is given twice"),
        ("team: Alpha\n'team': Beta\n", "'team' is given twice"),
        ("{team: Alpha, tags: [a], tags: [b]}", "'tags' is given twice"),
        ("team:\tx\n\tnote: y", "not valid YAML"),
        (f"tags: {[str(i) for i in range(99)]}", "tags has 99 parts; at most 20"),
        ("date: yesterday", "date must be a date such as 2024-06-30"),
        ("date: 2024-13-45", "month must be in 1..12"),
        ("date: '2024-13-45'", "date must be a date"),
        ("date: '2024-06-30 <b>'", "date must be a date"),
        ("date: 20240630", "date must be a date"),
        ("link: javascript:alert(1)", "link must be an address"),
        ("link: //example.org", "link must be an address"),
        ("link: https://", "link must be an address"),
        ("link: 'https://a b'", "link must be an address"),
        ("link: 'https://user:password@example.org'", "link must be an address"),
        ('link: "https://example.org/\\u202Egro"', "link must be an address"),
        ("link: 'https://[bad'", "link must be an address"),
        ("link: data:text/html,x", "link must be an address"),
        ("link: [x]", "link must be text"),
        ("teams: typo", "unknown: teams; known are name, team"),
        ("[1, 2]", "must be a mapping"),
        ("{", "not valid YAML"),
        ("!!python/object/apply:os.system ['true']", "not valid YAML"),
        ("[" * 3000, "not valid YAML"),
        ("a: &a [x]\nb: [*a]\n", "unknown: a, b"),
        ("note: " + "x" * 70_000, "larger than 64 KiB"),
        ("\x00", "not UTF-8 text"),
    ],
)
def test_description_that_is_not_one_is_refused_by_name(tmp_path, said, part):
    folder = make(tmp_path / "r")
    (folder / "entry.yaml").write_text(said, "utf-8")
    with pytest.raises(UserError, match=part) as caught:
        read_report(folder)
    assert str(folder / "entry.yaml") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["entry.yaml", "entry.json"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "gbk", "latin-1"])
def test_description_in_another_encoding_is_told_so(tmp_path, name, encoding):
    folder = make(tmp_path / "r")
    text = "Café" if encoding == "latin-1" else "plain" if encoding == "utf-16-le" else "青团"
    (folder / name).write_bytes(json.dumps({"team": text}, ensure_ascii=False).encode(encoding))
    with pytest.raises(UserError, match=f"{name}: not UTF-8 text .*; save it as UTF-8") as caught:
        read_report(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["entry.yaml", "entry.json"])
def test_description_with_a_mark_before_it_is_read(tmp_path, name):
    folder = make(tmp_path / "r")
    (folder / name).write_text('{"team": "青团"}', "utf-8-sig")
    assert read_report(folder).meta.team == "青团"


def test_key_twice_in_a_description_as_json(tmp_path):
    folder = make(tmp_path / "r")
    (folder / "entry.json").write_text('{"team": "Alpha", "team": "Beta"}')
    with pytest.raises(UserError, match="'team' is given twice"):
        read_report(folder)


def test_every_problem_of_every_report_is_said(tmp_path):
    first = make(tmp_path / "1", final=float("nan"))
    second = make(tmp_path / "2")
    (second / "entry.yaml").write_text("team: 5\ndate: never\n")
    with pytest.raises(UserError) as caught:
        read_reports([first, make(tmp_path / "3"), second])
    for part in ("1/report.json: final", "2/entry.yaml: team must be text in quotes; date must be"):
        assert part in str(caught.value)


def test_run_folder_tells_how_the_entry_was_made(tmp_path):
    folder = make_run(tmp_path / "run")
    run = read_report(folder).run
    assert (run.commit, run.seconds) == (RUN["commit"], None)
    assert run.commands[0] == f"git checkout {RUN['commit']}"
    assert run.commands[-1] == "jdart run again.yaml --output again"
    assert dict(run.decisions) == {
        "base.sha256": "fe" * 32,
        "seed": "7",
        "train.steps": "300",
        "train.learning_rate": "0.0001",
    }
    assert not any("somebody" in text for pair in run.decisions for text in pair)
    assert [path.name for path in run.sheets] == ["00.png"]


def test_loss_curves_are_thinned_between_their_ends(tmp_path):
    folder = make_run(tmp_path / "run")
    losses = read_report(folder).run.losses
    assert list(losses) == ["00", "01"]
    points = losses["01"]
    rows = list(csv.DictReader(io.StringIO((folder / "lora" / "01" / "loss.csv").read_text())))
    everything = [(int(row["step"]), float(row["loss"])) for row in rows]
    assert len(points) == 200 and set(points) <= set(everything)
    assert (points[0], points[-1]) == (everything[0], everything[-1])
    gaps = {b[0] - a[0] for a, b in zip(points, points[1:])}
    assert gaps == {2, 3}


def test_losses_that_are_none_are_passed_over(tmp_path):
    folder = make_run(tmp_path / "run")
    table = folder / "lora" / "00" / "loss.csv"
    lines = ["step,loss", "1,0.5", "2,nan", "x,0.1", "3", "", "4,inf", "5,0.25", "6,1e300", "-7,0.1", "²,0.1", "8,<b>"]
    table.write_text("\n".join(lines), "utf-8")
    assert read_report(folder).run.losses["00"] == ((1, 0.5), (5, 0.25))
    table.write_text("\n".join(lines), "utf-8-sig")  # as a spreadsheet saves it
    assert read_report(folder).run.losses["00"] == ((1, 0.5), (5, 0.25))
    table.write_bytes(b"\xff\xfe\x00" * 100 + b'"')
    assert read_report(folder).run.losses["00"] == ()


def test_what_run_json_says_goes_before_what_is_derived(tmp_path):
    said = {"commands": ["make entry"], "decisions": {"strength": 0.7, "why": "it keeps the noun"}, "seconds": 12.5}
    run = read_report(make_run(tmp_path / "run", run={**said, "date": "2024-07-01", "commit": "no commit"})).run
    assert (run.commands, run.seconds, run.commit) == (("make entry",), 12.5, None)
    assert run.decisions[:2] == (("strength", "0.7"), ("why", "it keeps the noun"))
    assert read_report(tmp_path / "run").meta.date == "2024-07-01"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[]", "must be an object"),
        ("{", "not valid JSON"),
        ('{"commands": "rm"}', "commands must be a list"),
        ('{"seconds": NaN}', "seconds must be a finite number"),
        ('{"config": ' + '{"a":' * 100_000, "not valid JSON"),
    ],
)
def test_run_json_that_is_not_one_is_refused_by_name(tmp_path, text, part):
    folder = make_run(tmp_path / "run")
    (folder / "run.json").write_text(text)
    with pytest.raises(UserError, match=part) as caught:
        read_report(folder)
    assert str(folder / "run.json") in str(caught.value)


def test_links_beside_a_report_are_left_alone(tmp_path):
    secret = make_run(tmp_path / "secret", run={"commit": "ab" * 20})
    (secret / "entry.yaml").write_text("team: secret")
    folder = tmp_path / "run"
    make(folder / "report")
    for name in ("run.json", "entry.yaml", "lora", "sheets"):
        (folder / name).symlink_to(secret / name)
    report = read_report(folder)
    assert (report.meta, report.run) == (Meta(), None)
    (folder / "run.json").unlink()
    (folder / "run.json").write_text(json.dumps(RUN))
    run = read_report(folder).run
    assert (list(run.losses), run.sheets) == ([], ())


def test_everything_that_was_read_is_in_the_hash_of_the_inputs(tmp_path):
    folder = make_run(tmp_path / "run", pictures=True)
    seen = [read_report(folder).inputs]
    changes = [
        lambda: (folder / "entry.yaml").write_text("team: a"),
        lambda: (folder / "entry.yaml").write_text("team: b"),
        lambda: (folder / "run.json").write_text(json.dumps({**RUN, "seed": 8})),
        lambda: (folder / "lora" / "00" / "loss.csv").write_text("step,loss\n1,2\n"),
        lambda: draw(folder / "sheets" / "00.png", 20, "black"),
        lambda: draw(folder / "report" / "thumbnails" / "outputs" / "00" / "Dolphin.webp", 16, "black"),
        lambda: (folder / "report" / "thumbnails" / "references" / "00" / "olive_tree.webp").unlink(),
        lambda: (folder / "report" / "report.json").write_text(
            (folder / "report" / "report.json").read_text().replace("0.78", "0.77")
        ),
    ]
    for change in changes:
        change()
        seen.append(read_report(folder).inputs)
    assert len(set(seen)) == len(changes) + 1
    assert read_report(folder).inputs == seen[-1]
    (folder / "lora" / "00" / "loss.csv").touch()  # another time, the same contents
    assert read_report(folder).inputs == seen[-1]


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
