"""Stories: one row for each way one can be wrong, and the gate that a report may be below of."""

import hashlib
import json
import random
import re
import shutil

import numpy as np
import pytest
from PIL import PngImagePlugin
from tiny_entry import png, write_files

from contest.definition import Limits, Story
from contest.entry.contents import open_contents
from contest.entry.gate import GateReport, Scored, write_gate
from contest.entry.listing import Item
from contest.findings import CHECKS
from submission import Contest, check, load_contest
from submission.rules.checker import check_items
from submission.rules.story_prompts import read_prompts

STORY = Story(3, rows=2, columns=2, aesthetic=6.0)
CONTEST = Contest("tale", {}, story=STORY, limits=Limits(side=64))
ROWS = {"1.png": "a fox wakes", "2.png": "it walks, slowly", "3.png": "it sleeps"}


def finished(**options):
    notes = PngImagePlugin.PngInfo()
    notes.add_text("jdart", json.dumps({"colour": {"finish": {"strength": 0.5}}}))
    return png(pnginfo=notes, **options)


def table(rows, head="file,prompt"):
    return "\n".join([head, *(f'{name},"{prompt}"' for name, prompt in rows)]).encode()


def good_story():
    files = {name: png(size=(12, 8), seed=seed) for seed, name in enumerate(ROWS)}
    return {**files, "prompts.csv": table(ROWS.items()), "sheet.png": png(size=(24, 16), seed=9)}


def put(name, data):
    return lambda files: files.update({name: data})


def without(*names):
    return lambda files: [files.pop(name) for name in names]


def rows(*pairs):
    return put("prompts.csv", table([*ROWS.items(), *pairs]))


def sheet(*size):
    return put("sheet.png", png(size=size, seed=9))


CASES = {
    "good": (lambda files: None, []),
    "finished": (put("2.png", finished(size=(12, 8), seed=1)), [("S216", ".")]),
    "manifest": (put("manifest.json", b"{}"), []),
    "more pictures": (
        lambda files: (put("4.png", png(size=(12, 8), seed=4))(files), rows(("4.png", "the end"))(files)),
        [],
    ),
    "too few": (without("3.png"), [("S501", "."), ("S505", "prompts.csv")]),
    "no prompts": (without("prompts.csv"), [("S502", "prompts.csv")]),
    "prompts in capitals": (
        lambda files: files.update({"Prompts.csv": files.pop("prompts.csv")}),
        [("S104", "Prompts.csv")],
    ),
    "mark before the text": (put("prompts.csv", b"\xef\xbb\xbf" + table(ROWS.items())), []),
    "lines of Windows": (put("prompts.csv", table(ROWS.items()).replace(b"\n", b"\r\n")), []),
    "empty file": (put("prompts.csv", b""), [("S503", "prompts.csv")]),
    "other columns": (put("prompts.csv", table(ROWS.items(), "name,text")), [("S503", "prompts.csv")]),
    "rows of commas": (put("prompts.csv", table(ROWS.items()) + b"\n,\n , \n,,,\n"), []),
    "semicolons": (put("prompts.csv", table(ROWS.items(), "file;prompt").replace(b'png,"', b'png;"')), []),
    "tabs": (put("prompts.csv", table(ROWS.items(), "file\tprompt").replace(b'png,"', b'png\t"')), []),
    "separator said": (put("prompts.csv", b"sep=,\r\n" + table(ROWS.items())), []),
    "semicolon said": (
        put("prompts.csv", b"sep=;\n" + table(ROWS.items(), "file;prompt").replace(b'png,"', b'png;"')),
        [],
    ),
    "empty columns": (put("prompts.csv", table(ROWS.items(), "file,prompt,,").replace(b'"\n', b'",,\n')), []),
    "capitals": (put("prompts.csv", table(ROWS.items(), "File,Prompt")), []),
    "spaces": (put("prompts.csv", table(ROWS.items(), "file, prompt").replace(b"png,", b"png, ")), []),
    "other order": (put("prompts.csv", b"prompt,file\na,1.png\nb,2.png\nc,3.png"), []),
    "index of pandas": (put("prompts.csv", b",file,prompt\n0,1.png,a\n1,2.png,b\n2,3.png,c"), []),
    "empty lines first": (put("prompts.csv", b"\n,\n" + table(ROWS.items())), []),
    "no heading": (put("prompts.csv", table([*ROWS.items()][1:], '1.png,"a"')), [("S503", "prompts.csv")]),
    "more columns": (put("prompts.csv", b"file,prompt,seed\n1.png,a,1"), [("S503", "prompts.csv")]),
    "UTF-16": (put("prompts.csv", table(ROWS.items()).decode().encode("utf-16")), [("S503", "prompts.csv")]),
    "row without a name": (rows(("", "a prompt")), [("S505", "prompts.csv")]),
    "empty lines only": (put("prompts.csv", b"\n,\n"), [("S503", "prompts.csv")]),
    "not UTF-8": (put("prompts.csv", table(ROWS.items()) + b"\xff"), [("S503", "prompts.csv")]),
    "comma outside quotes": (put("prompts.csv", b"file,prompt\n1.png,a, b\n"), [("S503", "prompts.csv")]),
    "quote without end": (put("prompts.csv", b'file,prompt\n1.png,"a\n'), [("S503", "prompts.csv")]),
    "endless cell": (put("prompts.csv", b"file,prompt\n1.png," + b"a" * 200_000), [("S503", "prompts.csv")]),
    "endless prompts": (put("prompts.csv", random.Random(0).randbytes(1 << 21)), [("S503", "prompts.csv")]),
    "missing row": (put("prompts.csv", table([*ROWS.items()][1:])), [("S504", "1.png")]),
    "row without picture": (rows(("9.png", "gone")), [("S505", "prompts.csv")]),
    "row of the sheet": (rows(("sheet.png", "all")), [("S505", "prompts.csv")]),
    "row twice": (rows(("1.png", ROWS["1.png"])), [("S506", "prompts.csv")]),
    "two prompts": (rows(("1.png", "other")), [("S506", "prompts.csv")]),
    "empty prompt": (put("prompts.csv", table({**ROWS, "2.png": " "}.items())), [("S507", "prompts.csv")]),
    "no sheet": (without("sheet.png"), [("S508", "sheet.png")]),
    "uneven sheet": (sheet(25, 16), [("S509", "sheet.png")]),
    "lying sheet": (  # two rows of three, or three of two
        lambda files: (
            [put(f"{n}.png", png(size=(12, 8), seed=n))(files) for n in (4, 5, 6)],
            rows(*((f"{n}.png", f"part {n}") for n in (4, 5, 6)))(files),
            sheet(36, 16)(files),
        ),
        [],
    ),
    "sheet of another shape": (sheet(24, 24), [("S509", "sheet.png")]),
    "smaller sheet": (sheet(12, 8), []),
    "broken sheet": (put("sheet.png", b"x"), [("S201", "sheet.png")]),
    "large sheet": (sheet(96, 64), [("S207", "sheet.png")]),
    "picture of another size": (put("2.png", png(size=(8, 12), seed=5)), [("S204", "2.png")]),
    "same picture twice": (put("2.png", good_story()["1.png"]), [("S211", "2.png")]),
    "jpeg": (put("4.jpg", b"\xff\xd8\xff"), [("S105", "4.jpg"), ("S201", "4.jpg"), ("S504", "4.jpg")]),
    "extra file": (put("story.docx", b"x"), [("S107", "story.docx")]),
    "folder": (put("more/4.png", b"x"), [("S106", "more/")]),
    "hidden": (put(".DS_Store", b"x"), [("S108", ".DS_Store")]),
    "case collision": (
        lambda files: (put("A.png", png(size=(12, 8), seed=6))(files), put("a.png", png(size=(12, 8), seed=7))(files)),
        [("S113", "a.png"), ("S504", "A.png"), ("S504", "a.png")],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_findings(name, tmp_path):
    change, expected = CASES[name]
    files = good_story()
    change(files)
    write_files(tmp_path / "story", files)
    findings = check(tmp_path / "story", CONTEST)
    assert sorted((one.code, one.path) for one in findings) == sorted(expected)
    shutil.make_archive(str(tmp_path / "story"), "zip", tmp_path / "story")
    assert check(tmp_path / "story.zip", CONTEST) == findings


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"name,text\n1.png,a", "begins with the line name,text, not with file,prompt"),
        (b"file|prompt\n1.png|a", "begins with the line file|prompt, not with file,prompt"),
        (b"sep=;\nfile,prompt\n1.png,a", "begins with the line file,prompt, not with file,prompt"),
        (b"file,prompt,seed\n1.png,a,1", "has more columns than file and prompt: seed; leave them out"),
        (b"file,prompt\n1.png,a, b", "row 1: b; put prompts with a comma in quotes"),
        ("file,prompt\n1.png,a".encode("utf-16"), "is not UTF-8 text but UTF-16; save it as UTF-8"),
        ("file,prompt\n1.png,青团和粽子".encode("gbk"), "is not UTF-8 text but probably GBK"),
        ("file,prompt\n1.png,café".encode("latin-1"), "is not UTF-8 text (byte 21); save it as UTF-8"),
        (b"", "is empty; it begins with the line: file,prompt"),
    ],
)
def test_what_is_said_of_other_tables(data, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        read_prompts(Item("prompts.csv", "file", len(data), lambda: data))


def test_every_code_has_a_row():
    rows = {code for _, expected in CASES.values() for code, _ in expected}
    assert {code for code in CHECKS if "S5" < code < "S6"} - rows == {"S510", "S511"}  # of the report


def test_wrapped_story_is_seen_through(tmp_path):
    write_files(tmp_path, {f"mine/{name}": data for name, data in good_story().items()})
    assert [(one.code, one.path) for one in check(tmp_path, CONTEST)] == [("S110", "mine/")]


def test_the_shipped_contest_is_a_story(tmp_path):
    contest = load_contest("kolors-story")
    names = [f"{number}.png" for number in range(8)]
    files = {name: png(size=(12, 8), seed=number) for number, name in enumerate(names)}
    files["prompts.csv"] = table([(name, f"prompt of {name}") for name in names])
    files["sheet.png"] = png(size=(24, 32), seed=9)  # four rows of two, as the contest's notebook has it
    assert check(write_files(tmp_path / "story", files), contest) == []


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (None, []),
        ({"extras": {}}, []),
        ({"extras": {"aesthetic": {"total": 6.0}}}, []),
        ({"extras": {"aesthetic": {"total": None}}}, []),
        ({"extras": {"aesthetic": {"total": 5.99}}}, ["S510"]),
        ({"extras": {"aesthetic": 5}}, ["S511"]),
        ({"extras": []}, []),
        ([], ["S511"]),
        ("{", ["S511"]),
    ],
)
def test_aesthetic_gate(report, expected, tmp_path):
    path = tmp_path / "report.json"
    if report is not None:
        path.write_text(report if isinstance(report, str) else json.dumps(report))
    with open_contents(write_files(tmp_path / "story", good_story())) as listing:
        findings = check_items(listing, CONTEST, report=path)
    assert [one.code for one in findings] == expected
    assert all(one.severity == "warning" and "jdart-eval aesthetic" in one.hint for one in findings)


def scored(files, **scores):
    pictures = {
        f"{name}.png": Scored(score, hashlib.sha256(files[f"{name}.png"]).hexdigest()) for name, score in scores.items()
    }
    return GateReport(float(np.mean([one.score for one in pictures.values()])), pictures)


def findings_with(report, files, folder):
    write_gate(folder, report)
    with open_contents(write_files(folder / "story", files)) as listing:
        return check_items(listing, CONTEST, report=folder / "report.json")


def test_the_gate_names_the_pictures_below_it_and_by_how_much(tmp_path):
    files = good_story()
    assert findings_with(scored(files, **{"1": 6.5, "2": 5.5, "3": 6.0}), files, tmp_path) == []
    below = findings_with(scored(files, **{"1": 6.5, "2": 4.25, "3": 5.0}), files, tmp_path)
    assert [one.code for one in below] == ["S510"]
    assert "mean 5.25, 0.75 below the gate of 6; below it: 2.png 4.25 (by 1.75), 3.png 5.00 (by 1.00)" in str(below[0])


def test_scores_of_other_pictures_say_nothing(tmp_path):
    files = good_story()
    report = scored(files, **{"1": 1, "2": 1, "3": 1})
    changed = {**files, "2.png": png(size=(12, 8), seed=77)}
    assert [one.code for one in findings_with(report, changed, tmp_path / "changed")] == ["S511"]
    more = {**files, "4.png": png(size=(12, 8), seed=4), "prompts.csv": table([*ROWS.items(), ("4.png", "x")])}
    assert "S511" in [one.code for one in findings_with(report, more, tmp_path / "more")]
