"""The site in a real browser: headless Chromium, driven by Selenium, from a folder and with nothing else to reach."""

import functools
import http.server
import importlib.resources
import json
import re
import shutil
import threading

import pytest
from drive_board import (
    ENTRIES,
    FOCUSED,
    SHIFT,
    Quiet,
    all_of,
    check_axe,
    emulate,
    keys,
    names,
    one_of,
    page_of,
    pages,
    ranked,
    start,
    varied,
    wait,
)
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select
from some_reports import make

from leaderboard import build_site
from leaderboard.building.difference import difference
from leaderboard.reading.reports import read_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="no chromium or no chromedriver: apt-get install chromium chromium-driver",
)
WIDTHS = (360, 800, 1440)


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("browser"), {}
    for name, final, said in ENTRIES:
        made[name] = make(folder / name, name, final, varied(name, final), pictures=True)
        (made[name] / "entry.json").write_text(json.dumps(said), "utf-8")
    return made


@pytest.fixture(scope="module")
def site(reports, tmp_path_factory):
    out = tmp_path_factory.mktemp("board") / "deep" / "site"
    build_site(list(reports.values()), out, "Board & co")
    return out


@pytest.fixture(scope="module")
def browser():
    driver = start(CHROMIUM, DRIVER)
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def visit(browser, site):
    """Opens a page of the site, and demands afterwards that nothing was complained of or asked of anyone else."""

    def go(path, width=1440):
        command("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        browser.get("about:blank")
        browser.get(f"file://{site}/{path}")
        return browser

    def command(name, **values):
        browser.execute_cdp_cmd(name, values)

    browser.get_log("performance")
    emulate(browser, "light")
    yield go
    command("Emulation.setScriptExecutionDisabled", value=False)
    assert browser.get_log("browser") == []
    asked = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [one["params"]["request"]["url"] for one in asked if one["method"] == "Network.requestWillBeSent"]
    ours = ("about:blank", f"file://{site}/", "http://127.0.0.1:", "data:")  # data: are Chromium's own icons
    assert urls and [url for url in urls if not url.startswith(ours)] == []
    browser.get("about:blank")


def test_sorting_by_mouse_and_keyboard(visit, reports):
    browser = visit("index.html")
    assert ranked(browser) == ["Ember", "Fern", "Gale"]
    head = one_of(browser, "th.is-fid")
    head.find_element(By.TAG_NAME, "button").click()
    fid = {name: read_report(path).scores["fid"] for name, path in reports.items()}
    best_first = sorted(["Ember", "Fern", "Gale"], key=fid.get)
    assert ranked(browser) == best_first and head.get_attribute("aria-sort") == "ascending"
    keys(browser, Keys.ENTER)  # the button has the focus
    assert ranked(browser) == best_first[::-1] and head.get_attribute("aria-sort") == "descending"
    assert len(all_of(browser, "table:first-of-type [aria-sort]")) >= 1
    name = one_of(browser, "th[data-key=name] button")
    browser.execute_script("arguments[0].focus()", name)
    keys(browser, Keys.SPACE)
    keys(browser, Keys.SPACE)
    assert ranked(browser) == ["Gale", "Fern", "Ember"]
    assert "sort=" in browser.current_url


def test_a_link_to_a_sorted_and_filtered_view_opens_it(visit, browser):
    visit("index.html")
    one_of(browser, "th[data-key=name] button").click()
    one_of(browser, "th[data-key=name] button").click()
    Select(one_of(browser, "[name=team]")).select_by_visible_text("owls")
    link = browser.current_url
    visit("index.html#" + link.partition("#")[2])
    assert names(browser) == ["Gale", "Fern"]


def test_rows_without_a_value_stay_last(visit, browser):
    visit("index.html")
    first = one_of(browser, "table")
    browser.execute_script(
        "const cell = arguments[0].tBodies[0].rows[0].querySelectorAll('td')[2]; cell.textContent = '–';", first
    )  # the first entry has no Style
    for _ in range(2):
        one_of(browser, "th.is-style button").click()
        assert ranked(browser)[-1] == "Ember"


def test_filters(visit, browser):
    visit("index.html")
    form = one_of(browser, "[data-filters]")
    assert form.is_displayed() and one_of(browser, "[data-shown]").text == "5 of 5 entries shown"
    Select(one_of(browser, "[name=team]")).select_by_visible_text("owls")
    assert names(browser) == ["Fern", "Gale"]
    Select(one_of(browser, "[name=tag]")).select_by_visible_text("lora")
    assert names(browser) == ["Fern"]
    one_of(browser, "[type=reset]").click()
    wait(browser, lambda: len(names(browser)) == 5)
    one_of(browser, "[name=name]").send_keys("AL")
    assert names(browser) == ["Gale", "Half"]
    one_of(browser, "[type=reset]").click()
    wait(browser, lambda: len(names(browser)) == 5)
    for field, day in (("from", "2024-04-02"), ("to", "2024-05-31")):
        browser.execute_script(
            "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))",
            one_of(browser, f"[name={field}]"),
            day,
        )
    assert names(browser) == ["Ember", "Fern"]
    assert one_of(browser, "[data-shown]").text == "2 of 5 entries shown"


def test_lightbox(visit, browser, site, reports):
    visit(page_of(site, "Ember"))
    links = all_of(browser, "a.zoom")
    outputs = [link for link in links if not browser.execute_script("return arguments[0].closest('.references')", link)]
    outputs[0].click()
    box = one_of(browser, "dialog")
    assert box.is_displayed()
    picture = read_report(reports["Ember"]).images["00"][0]
    assert one_of(box, "h2").text == picture.prompt == "Dolphin"
    values = {one.text: two.text for one, two in zip(all_of(box, "dt"), all_of(box, "dd"))}
    assert values["LPIPS"] == f"{picture.scores['lpips']:.4f}" and values["DINO"] == f"{picture.scores['dino']:.4f}"
    assert len(all_of(box, ".box-references img")) == 1
    assert browser.execute_script("return arguments[0].naturalWidth", one_of(box, ".box-frame img")) == 16
    keys(browser, Keys.ARROW_RIGHT)
    assert one_of(box, "h2").text == "Ice cream" and "view=picture-00--ice-cream" in browser.current_url
    keys(browser, Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert one_of(box, "h2").text == "olive tree"  # the reference before the first output
    keys(browser, Keys.END)
    assert one_of(box, "h2").text == "Sun"
    width = one_of(box, ".box-frame img").size["width"]
    keys(browser, "+")
    assert one_of(box, ".box-frame img").size["width"] == pytest.approx(2 * width, rel=0.05)
    keys(browser, "-", Keys.ESCAPE)
    wait(browser, lambda: not box.is_displayed())
    # the browser gives the focus back to where it came from, and tells of the end only then
    focused = "const link = document.activeElement; return link.className + ' ' + (link.firstElementChild?.alt ?? '')"
    wait(browser, lambda: browser.execute_script(focused) == "zoom Sun")
    assert "view=" not in browser.current_url


def test_a_link_to_a_picture_opens_it_and_says_what_clip_saw(visit, browser, site, reports):
    missed = {
        name: [one for one in read_report(path).images["00"] if one.hit is False] for name, path in reports.items()
    }
    name, pictures = next((name, pictures) for name, pictures in missed.items() if pictures)
    place = re.sub(" ", "-", pictures[0].prompt.lower())
    visit(page_of(site, name) + f"#view=picture-00--{place}")
    box = one_of(browser, "dialog")
    wait(browser, box.is_displayed)
    assert one_of(box, "h2").text == pictures[0].prompt
    said = one_of(box, ".box-said").text
    assert "✗ miss, rank 17" in said and f"CLIP saw: {', '.join(pictures[0].top5)}" in said


def test_compare_any_pair_as_python_does(visit, browser, reports):
    visit("compare.html")
    wait(browser, lambda: all_of(browser, "[data-split=metrics]"))
    Select(one_of(browser, "[name=b]")).select_by_visible_text("3 Gale")
    wait(browser, lambda: "Gale" in one_of(browser, "[data-said]").text)
    a, b = (read_report(reports[name]) for name in ("Ember", "Gale"))
    expected = difference(a, b)
    rows = [
        [cell.text for cell in row.find_elements(By.XPATH, "./*")]
        for row in all_of(browser, "[data-split=metrics] tbody tr")
    ]
    labels = {
        "dino": "DINO",
        "hist": "Hist",
        "lpips": "LPIPS",
        "clip_r": "CLIP-R",
        "fid": "FID",
        "clip_iqa": "CLIP-IQA",
    }
    number = lambda text: float(text.replace("−", "-").replace("±", "").replace("+", ""))  # noqa: E731
    found = {row[0]: number(row[3]) for row in rows}
    assert found == pytest.approx({labels[key]: part for key, part in expected.metrics.items()}, abs=6e-5)
    sizes = [abs(number(row[3])) for row in rows]
    assert sizes == sorted(sizes, reverse=True)
    rows = [
        [cell.text for cell in row.find_elements(By.XPATH, "./*")]
        for row in all_of(browser, "[data-split=styles] tbody tr")
    ]
    styles = {row[0]: number(row[1]) for row in rows}
    for style, parts in expected.styles.items():
        assert styles[style] == pytest.approx(sum(parts.values()), abs=6e-5)
    assert styles["all styles together (FID)"] == pytest.approx(expected.elsewhere, abs=6e-5)
    # one style has one picture: all of the style's part is that picture's
    pairs = {item.find_element(By.TAG_NAME, "h3").text: item for item in all_of(browser, ".pairs li")}
    (sun,) = [text for text in pairs if text.startswith("Sun")]
    assert number(sun.split()[-1]) == pytest.approx(styles["01"], abs=1e-4)
    assert len(all_of(browser, ".pairs img")) == 6
    cards = {card.find_element(By.TAG_NAME, "h2").text: card for card in all_of(browser, ".versus .card")}
    marked = [name for name, card in cards.items() if all_of(card, ".badge.post-processed")]
    assert marked == ["B · Gale post-processed"] and "A · Ember" in cards
    assert "a=ember-" in browser.current_url and "b=gale-" in browser.current_url
    one_of(browser, "[data-swap]").click()
    wait(browser, lambda: one_of(browser, "[data-said]").text.startswith("Gale against Ember"))
    one_of(browser, ".pairs a.zoom").click()
    assert one_of(browser, "dialog").is_displayed()


def test_compare_says_what_cannot_be_compared(visit, browser, site):
    slugs = {name: page_of(site, name)[len("entries/") : -len(".html")] for name in ("Ember", "Half", "Toy")}
    visit(f"compare.html#a={slugs['Ember']}&b={slugs['Half']}")
    wait(browser, lambda: all_of(browser, ".warning"))
    text = " ".join(one.text for one in all_of(browser, ".warning"))
    assert "not scored alike" in text and "lacks a score" in text
    visit("compare.html#a=../../evil&b=nothing")  # names that are none of the board's load nothing
    wait(browser, lambda: "Ember against Fern" in one_of(browser, "[data-said]").text)


def test_language_is_switched_and_remembered(visit, browser, site):
    visit("index.html")
    assert one_of(browser, "h2").text == "Ranking"
    one_of(browser, "[data-languages] [value=zh]").click()
    assert one_of(browser, "h2").text == "排名"
    assert one_of(browser, "html").get_attribute("lang") == "zh-Hans"
    assert one_of(browser, "[data-shown]").text == "显示 5 个作品中的 5 个"
    assert one_of(browser, ".chart title").get_attribute("textContent") == "Style 与 Text + Quality"
    visit(page_of(site, "Fern"))
    assert "得分" in one_of(browser, "#scores h2").text
    one_of(browser, "[data-languages] [value=en]").click()
    assert one_of(browser, "#scores h2").text == "Scores"
    visit("index.html?lang=zh")
    assert one_of(browser, "h2").text == "排名"
    visit("methods.html?lang=zh")
    assert browser.title == "方法说明 – Board & co"


def test_dark_and_light(visit, browser):
    colours = {}
    for scheme in ("light", "dark"):
        emulate(browser, scheme)
        visit("index.html")
        look = "const s = getComputedStyle(arguments[0]); return [s.backgroundColor, s.color, s.fill]"
        body = browser.execute_script(look, one_of(browser, "body"))
        text = browser.execute_script(look, one_of(browser, ".chart .tick"))
        colours[scheme] = [sum(map(int, re.findall(r"\d+", one)[:3])) for one in (body[0], body[1], text[2])]
    (page, ink, chart), (dark_page, dark_ink, dark_chart) = colours["light"], colours["dark"]
    assert page > 600 > 300 > ink and dark_page < 150 < 500 < dark_ink
    assert chart < dark_chart  # charts follow


def test_without_scripts_everything_is_there(visit, browser, site):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    visit("index.html")
    assert names(browser) == ["Ember", "Fern", "Gale", "Half", "Toy"]
    assert not one_of(browser, "[data-filters]").is_displayed() and not all_of(browser, "thead button")
    assert len(all_of(browser, "svg.chart")) >= 3
    visit(page_of(site, "Fern"))
    assert one_of(browser, "#compared [data-split=metrics]").is_displayed()
    assert one_of(browser, "a.zoom").get_attribute("href").endswith(".webp")
    assert one_of(browser, "[data-rank] a").get_attribute("href").partition("#")[2].startswith("fern-")
    visit("compare.html")
    assert "Without them" in one_of(browser, "main noscript").text
    assert len(all_of(browser, "noscript a")) == 5


def test_page_of_an_entry_has_its_rank_and_those_that_the_intervals_allow(browser, tmp_path):
    finals = {"one": 0.50, "two": 0.49, "three": 0.2}
    reports = [make(tmp_path / name, name, at, interval=(at - 0.05, at + 0.05)) for name, at in finals.items()]
    build_site(reports, tmp_path / "site")
    for name, said in (("one", ["1", "1–2"]), ("two", ["2", "1–2"]), ("three", ["3", "3"])):
        browser.get(f"file://{tmp_path}/site/{page_of(tmp_path / 'site', name)}")
        assert [one_of(browser, place).text for place in ("[data-rank]", "[data-range]")] == said


def test_keyboard_walk(visit, browser, site):
    visit("index.html")
    keys(browser, Keys.TAB)
    skip = browser.switch_to.active_element
    assert skip.get_attribute("class") == "skip" and skip.rect["y"] >= 0  # comes into sight
    seen, last = [], None
    for _ in range(60):
        keys(browser, Keys.TAB)
        place, tag, text, kind, outline = browser.execute_script(FOCUSED)
        if tag == "BODY":
            break
        assert place != last or kind == "date", "the focus is caught"  # a date has places for day, month and year
        assert outline != "none", (tag, text)
        last = place
        seen.append((tag, text))
    assert {"Compare", "Methods", "中文", "team", "tag", "Ember", "Fern", "Gale"} <= {text for _, text in seen}
    assert any(tag == "BUTTON" and text.startswith("Final") for tag, text in seen)
    visit(page_of(site, "Ember"))
    browser.execute_script("document.querySelector('a.zoom').focus()")
    keys(browser, Keys.ENTER)
    box = one_of(browser, "dialog")
    assert box.is_displayed()
    for _ in range(12):  # the focus stays inside
        keys(browser, Keys.TAB)
        inside = "return document.activeElement === document.body || arguments[0].contains(document.activeElement)"
        assert browser.execute_script(inside, box)


@pytest.mark.parametrize(("scheme", "rules"), [("light", {}), ("dark", {"runOnly": ["color-contrast"]})])
def test_axe_finds_nothing(visit, browser, site, scheme, rules):
    axe = importlib.resources.files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")
    emulate(browser, scheme)
    for page in pages(site):
        visit(page)
        if page == "compare.html":
            wait(browser, lambda: all_of(browser, ".pairs"))
        check_axe(browser, axe, rules, page)
    visit(page_of(site, "Fern"))
    one_of(browser, "a.zoom").click()
    check_axe(browser, axe, rules, "lightbox")


def test_three_widths_without_sideways_scrolling(visit, browser, site):
    for width in WIDTHS:
        for page in pages(site):
            visit(page, width)
            if page == "compare.html":
                wait(browser, lambda: all_of(browser, ".pairs"))
            wide = browser.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
            assert wide[0] <= wide[1], (page, width)
            unsized = "return [...document.images].filter((i) => !i.getAttribute('width') || !i.getAttribute('height'))"
            assert browser.execute_script(unsized) == []  # all have their place before they are loaded
            if page != "compare.html":  # which is empty until the data are there
                assert browser.execute_async_script(SHIFT) < 0.02, (page, width)


def test_a_narrow_sheet_of_paper_holds_every_page(visit, browser, site):
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    for page in pages(site):
        visit(page, 700)
        over = "const page = document.documentElement; return page.scrollWidth - page.clientWidth"
        assert browser.execute_script(over) == 0, page
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_below_any_path_of_a_server(visit, browser, site):
    handler = functools.partial(Quiet, directory=str(site.parent.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser.get(f"http://127.0.0.1:{server.server_port}/deep/site/index.html")
        one_of(browser, "tbody th.entry a").click()
        assert one_of(browser, "h1").text.startswith("Ember")
        one_of(browser, ".bar nav a:nth-child(2)").click()
        wait(browser, lambda: all_of(browser, ".pairs img"))
        server.shutdown()
