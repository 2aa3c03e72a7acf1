"""Both languages say the same things, and what a page says in one of them a script can put into the other."""

import json
import re
import string
from html.parser import HTMLParser
from pathlib import Path

import pytest
from some_reports import make

import leaderboard
from leaderboard import build_site
from leaderboard.i18n import LANGUAGES, Words, catalogue
from submission import UserError

HERE = Path(leaderboard.__file__).parent
WITH_NAMES = (
    "status.",
    "status.one.",
    "metric.",
    "reading.",
    "quirk.",
    "split.",
    "chart.",
    "reason.",
)  # made of a name


def braces(text):
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


def test_catalogues_have_the_same_keys_and_braces():
    english, chinese = catalogue("en"), catalogue("zh")
    assert list(LANGUAGES) == ["en", "zh"]
    assert english.keys() == chinese.keys()
    for key, text in english.items():
        assert braces(text) == braces(chinese[key]), key
        assert text.strip() == text and chinese[key].strip() == chinese[key] and text and chinese[key], key
        assert "<" not in text + chinese[key], key


def test_chinese_is_chinese():
    names = {key for key, text in catalogue("zh").items() if not re.search("[一-鿿]", text)}
    same = {"text-quality", "style-axis", "reading.formula", *(f"metric.{m}" for m in METRICS)}
    assert names == same


METRICS = ("dino", "hist", "lpips", "clip_r", "fid", "clip_iqa")


def test_every_key_that_is_asked_for_is_there_and_every_other_is_asked_for():
    sources = [
        *HERE.glob("templates/*.html"),
        *HERE.glob("static/*.js"),
        *HERE.glob("pages/*.py"),
        *HERE.glob("charts/*.py"),
        HERE / "i18n.py",
    ]
    text = "\n".join(path.read_text("utf-8") for path in sources)
    words = set(re.findall(r"[\"']([a-z][a-z0-9_.-]*)[\"']", text))
    unused = {key for key in catalogue("en") if key not in words and not key.startswith(WITH_NAMES)}
    assert unused == set()
    asked = re.findall(r"\b(?:t|plain|mark|label|span)\(\"([a-z.-]+)\"[,)]", text)
    asked += re.findall(r"(?:at\(\"[a-z-]+\", |jdartWord\(\"\w+\", |jdartMark\([^\n]*, )\"([a-z.-]+)\"", text)
    assert len(asked) > 60
    assert {key for key in asked if key not in catalogue("en")} == set()


def test_unknown_language_is_refused(tmp_path):
    with pytest.raises(UserError, match="no language 'fr'; there are en, zh"):
        Words("fr")
    with pytest.raises(UserError, match="no language 'fr'"):
        build_site([make(tmp_path / "r")], tmp_path / "site", language="fr")


class Translator(HTMLParser):
    """Does to a page what language.js does, and returns its texts and attributes in order."""

    def __init__(self, html, texts):
        super().__init__()
        self.texts, self.found, self.waiting = texts, [], None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        args = json.loads(attributes.pop("data-i18n-args", "{}"))
        for name in ("aria-label", "alt", "title"):
            key = attributes.get(f"data-i18n-{name}")
            if key is not None:
                attributes[name] = self.say(key, args)
        if tag == "html":
            attributes.pop("lang")
        self.found.append((tag, attributes))
        if "data-i18n" in attributes:
            self.waiting = self.say(attributes["data-i18n"], args)

    def handle_data(self, data):
        self.found.append(data if self.waiting is None else self.waiting)
        self.waiting = None

    def say(self, key, args):
        return re.sub(r"\{(\w+)\}", lambda found: str(args[found[1]]), self.texts[key])


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    folder = tmp_path_factory.mktemp("languages")

    def incomplete(report):
        report["provenance"].update(complete=False, comparable=False)

    def toy(report):
        why = ["toy weights: not comparable with the contest"]
        report["provenance"].update(comparable=False, not_comparable_because=why)

    reports = [
        make(folder / "1", "first", 0.5, pictures=True),
        make(folder / "2", "second", 0.4),
        make(folder / "3", "half", 0.3, incomplete),
        make(folder / "4", "small", 0.2, toy),
    ]
    for language in LANGUAGES:
        build_site(reports, folder / language, "Board", language=language)
    return folder


def test_a_page_put_into_the_other_language_is_the_page_built_in_it(sites):
    compared = 0
    for path in sorted((sites / "en").rglob("*.html")):
        other = sites / "zh" / path.relative_to(sites / "en")
        one = Translator(path.read_text("utf-8"), catalogue("zh"))
        two = Translator(other.read_text("utf-8"), catalogue("zh"))
        assert one.found == two.found, path.name
        compared += 1
    assert compared >= 5


def test_language_of_the_page_is_said(sites):
    assert '<html lang="en">' in (sites / "en" / "index.html").read_text("utf-8")
    chinese = (sites / "zh" / "index.html").read_text("utf-8")
    assert '<html lang="zh-Hans">' in chinese
    assert "排名" in chinese and ">Ranking<" not in chinese
    assert "玩具权重：不能与比赛得分相比" in chinese  # a reason that the evaluator gave in English


def test_script_has_both_catalogues(sites):
    text = (sites / "en" / "static" / "texts.js").read_text("ascii")
    found = json.loads(re.search(r"const jdartTexts = (\{.*?\n\});", text, re.S)[1])
    assert found == {language: dict(catalogue(language)) for language in LANGUAGES}
