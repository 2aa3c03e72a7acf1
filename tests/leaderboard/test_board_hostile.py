"""Reports of people who mean harm: what they wrote stays text, or the report is refused.

Every text of a report is replaced by an attack. The site must then have the tags and attributes, and the files, of the
same site with harmless words in their place.
"""

import csv
import io
import json
import re
import unicodedata
from collections import Counter

import pytest
from read_page import Page
from some_reports import RUN, draw, files, make_run

from leaderboard import build_site
from leaderboard.reading.reports import read_report
from leaderboard.text import clean
from submission import UserError

ATTACKS = {
    "script": "<script>alert(1)</script>",
    "attribute": "\" onmouseover=alert(1) x=\"' onload=alert(1) autofocus '",
    "picture": "<img src=x onerror=alert(1)><svg onload=alert(1)>",
    "template": "{{ 7*7 }}{% raw %}${7*7}#{7*7}",
    "end of a script": "</script><script>alert(1)//</style></title></textarea>-->",
    "entity": "&lt;script&gt;&#x3C;b&#62;&quot;",
    "path": "..\u2215..\u2215etc\u2215passwd .. %2e%2e",
    "address": "javascript:alert(1)",
    "right to left": "\u202egnp.exe\u2066 \u200f\u2069",
    "invisible": "a\u200bb\u2060c\ufeffd\u00ade\u3164",
    "control": "a\x1b[2J\x07\r\nb\x00c\u2028d",
    "accents": "z" + "\u0301\u0316" * 300,
    "formula": '=HYPERLINK("http://evil.example","x")',
    "format": "%s %(name)s {0} {title.__class__} {}",
    "quotes": "'\"`\\\"'\\",
    "script's ends of line": "\u2028\u2029</ScRiPt >",
    "long": "wide " * 200_000,
    "endless word": "W" * 1_000_000,
}


def hostile(folder, attack):
    """Write a run folder with the attack in every place that takes text."""
    name = re.sub(r"[/\\\x00]", "", attack)[:100_000] or "x"  # a name with these is refused
    on_disk = name.encode()[:150].decode("utf-8", "ignore")

    def change(report):
        report.update(contest=attack, profile=attack)
        report["submission"]["sha256"] = attack
        report["provenance"].update(
            device=attack,
            versions={attack: attack},
            weights={attack: attack},
            references={"name": attack, "sha256": attack},
            comparable=False,
            not_comparable_because=[attack],
        )
        report["styles"] = {name: report["styles"]["00"], "plain": report["styles"]["01"]}
        picture = {"clip_r_correct": False, "clip_r_rank": 9, "clip_r_top5": [attack], "dino": 0.5, attack: attack}
        report["images"] = {name: {f"{name}.png": picture}, "plain": {f"{on_disk}.png": picture}}
        report[attack] = attack

    run = {"commands": [attack], "decisions": {attack: attack}, "config": {attack: {attack: attack}}, "tool": attack}
    meta = {"team": attack[:10_000], "tags": [attack[:10_000]], "note": attack[:10_000]}
    make_run(folder, attack, 0.5, run={**RUN, **run}, change=change, meta=meta, interval=(0.4, 0.6))
    draw(folder / "report" / "thumbnails" / "outputs" / "plain" / f"{on_disk}.webp", 160, "red")
    draw(folder / "report" / "thumbnails" / "references" / "plain" / f"{on_disk}.webp", 16, "blue")
    draw(folder / "sheets" / f"{on_disk}.png", 30, "blue")
    table = folder / "lora" / on_disk / "loss.csv"
    table.parent.mkdir()
    table.write_text(f"step,loss,{on_disk}\n1,0.5,x\n2,{on_disk},y\n3,0.25\n", "utf-8")
    return folder


def built(folder, attack):
    site = folder / "site"
    build_site([hostile(folder / "run", attack)], site, title=attack[:1000])
    return site


def tags(site):
    """How often each tag occurs with which attributes, over all pages."""
    pages = [Page(path) for path in site.rglob("*.html")]
    return Counter((tag, *sorted(attributes)) for page in pages for tag, attributes in page.tags)


@pytest.fixture(scope="module")
def harmless(tmp_path_factory):
    return tags(built(tmp_path_factory.mktemp("harmless"), "word"))


@pytest.fixture(scope="module", params=ATTACKS)
def site(request, tmp_path_factory):
    return built(tmp_path_factory.mktemp("hostile"), ATTACKS[request.param])


def test_no_tag_attribute_or_file_of_theirs(site, harmless):
    assert tags(site) == harmless
    for path in site.rglob("*.html"):
        for tag, attributes in Page(path).tags:
            for name in ("href", "src", "srcset", "action", "formaction", "xlink:href", "data"):
                link = attributes.get(name)
                assert link is None or re.fullmatch(r"(#|(\.\./)*[a-z0-9])[\w\-./#?=&, ]*", link), (tag, name, link)
    for name in files(site):
        assert name.isascii() and ".." not in name and max(map(len, name.split("/"))) < 200


def test_what_is_shown_has_no_power_over_what_stands_around_it(site):
    for name, data in files(site).items():
        if not name.startswith("thumbnails/"):
            text = data.decode("utf-8-sig" if name == "board.csv" else "utf-8")
            odd = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c != "\n"}
            assert odd == set(), name
            assert name.startswith("static/") or len(data) < 300_000


def test_data_of_the_scripts_is_data(site):
    (script,) = site.glob("data/*.js")
    call = re.fullmatch(r"(\w+)\((.*)\);\n", script.read_text("utf-8"), re.DOTALL)
    assert call is not None and call[1] == "jdartEntry"
    title = json.loads((site / "board.json").read_text("utf-8"))["entries"][0]["name"]
    assert json.loads(call[2])["title"] == title


def no_formula(site):
    (row,) = csv.DictReader(io.StringIO((site / "board.csv").read_text("utf-8-sig")))
    assert None not in row
    for key, cell in row.items():
        assert not re.match(r"[=+\-@＝＋－＠\t\r]", cell) or re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", cell), key


def test_no_cell_is_a_formula(site):
    no_formula(site)


@pytest.mark.parametrize("attack", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "＝1+1", "\u200b=1"])
def test_formula_of_any_kind_is_quoted(tmp_path, attack):
    no_formula(built(tmp_path, attack))


def test_what_can_be_read_is_shown_as_it_is(tmp_path):
    attack = "<b>Ünïcode & “quotes” 中文 {{ x }}</b>"
    assert attack in Page(built(tmp_path, attack) / "index.html").text


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain name", "plain name"),
        ("  two\n lines\t", "two lines"),
        ("adm\u200bin", "admin"),
        ("\u202eabc\u202c", "abc"),
        ("e\u0301", "é"),
        ("\u3164\u115f\u2800", ""),
        ("नमस्ते שלום مرحبا", "नमस्ते שלום مرحبا"),
        ("x" * 50, "x" * 19 + "…"),
        ("a\u0301\u0302\u0303\u0304\u0305\u0306", "á\u0302\u0303\u0304"),
    ],
)
def test_clean(text, cleaned):
    assert clean(text, 20) == cleaned


def test_two_names_that_look_the_same_are_refused_in_a_report_and_told_apart_on_a_board(tmp_path):
    def twins(report):
        report["images"]["00"]["Dol\u200bphin.png"] = {}

    with pytest.raises(UserError, match="two pictures of style 00 have names that look the same"):
        read_report(make_run(tmp_path / "twins", change=twins))

    def styles(report):
        report["styles"]["0\u200b0"] = report["styles"]["00"]

    with pytest.raises(UserError, match="two styles have names that look the same"):
        read_report(make_run(tmp_path / "styles", change=styles))
    board = build_site([make_run(tmp_path / "a", "good"), make_run(tmp_path / "b", "go\u200bod")], tmp_path / "site")
    titles = [row.title for row in board[0].rows]
    assert len(set(titles)) == 2 and all(title.startswith("good · ") for title in titles)


@pytest.mark.parametrize(
    "text",
    [
        '{"schema_version": 1, "submission": ' + "[" * 200_000,
        '{"schema_version": 1, "scores": ' + '{"a":' * 200_000 + "1" + "}" * 200_001,
        '{"schema_version": 1, "scores": {"final": 1' + "0" * 5000 + "}}",
        '{"schema_version": 1, "images": []}',
        '{"schema_version": true}',
        '{"schema_version": 1.5}',
        "\ufeff\ufeff{}",
        "\x00" * 1000,
    ],
)
def test_nonsense_is_refused_in_one_short_line(tmp_path, text):
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(UserError) as caught:
        read_report(tmp_path)
    assert len(str(caught.value)) < 1500 and str(caught.value).isprintable()


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_refusal_of_a_hostile_name_is_one_short_line(tmp_path, attack):
    def change(report):
        report["styles"][f"../{attack}"] = {}
        report["images"]["00"][f"{attack}/x.png"] = {}
        report["provenance"]["weights"] = {attack: 5}

    with pytest.raises(UserError, match="cannot name a style or picture") as caught:
        read_report(make_run(tmp_path / "r", change=change))
    assert len(str(caught.value)) < 3000 and str(caught.value).isprintable()


def test_report_of_too_many_parts_is_refused(tmp_path):
    def styles(report):
        report["styles"] = {f"{i}": report["styles"]["00"] for i in range(501)}

    with pytest.raises(UserError, match="styles has 501 parts; at most 500"):
        read_report(make_run(tmp_path / "r", change=styles))
