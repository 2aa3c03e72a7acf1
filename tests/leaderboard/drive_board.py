"""Drives Chromium over a small board, for test_board_browser.py."""

import http.server
import random

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
# what has the focus, and whether that can be seen
FOCUSED = """
const now = document.activeElement;
const place = [...document.querySelectorAll("*")].indexOf(now);
return [place, now.tagName, now.name || now.textContent, now.type || "", getComputedStyle(now).outlineStyle];
"""
# how far things moved after they were first drawn; below 0.1 is called good (web.dev/cls)
SHIFT = """
const done = arguments[0];
let sum = 0;
const add = (list) => list.getEntries().forEach((one) => { sum += one.value; });
new PerformanceObserver(add).observe({ type: "layout-shift", buffered: true });
setTimeout(() => done(sum), 100);
"""
# name, Final, what is said of it
ENTRIES = (
    (
        "Ember",
        0.60,
        dict(team="kiln", tags=["lora"], date="2024-05-01", note="First try.", link="https://example.org/"),
    ),
    ("Fern", 0.50, dict(team="owls", tags=["lora", "fusion"], date="2024-05-10")),
    ("Gale", 0.40, dict(team="owls", tags=["fusion"], date="2024-06-01")),
    ("Half", 0.45, dict(team="kiln", date="2024-04-01")),
    ("Toy", 0.90, {}),
)


def varied(name, final):
    """Changes a report so that every picture, style and total is its own, and fits together as the checker has it."""

    def change(report):
        draw = random.Random(name)
        for pictures in report["images"].values():
            for one in pictures.values():
                one.update(
                    {key: round(draw.random(), 4) for key in ("dino", "hist_rgb", "hist_hsv", "lpips", "clip_iqa")}
                )
                one["clip_r_correct"] = draw.random() < 0.5
                one["clip_r_rank"] = 1 if one["clip_r_correct"] else 17
        for style, pictures in report["images"].items():
            mean = lambda key: sum(one[key] for one in pictures.values()) / len(pictures)  # noqa: B023, E731
            found = {key: mean(key) for key in ("dino", "hist_rgb", "hist_hsv", "lpips", "clip_iqa")}
            found.update(hist=(found["hist_rgb"] + found["hist_hsv"]) / 2, clip_r=mean("clip_r_correct"))
            report["styles"][style].update(found)
        keys = ("dino", "hist", "lpips", "clip_iqa")
        scores = {key: sum(style[key] for style in report["styles"].values()) / 2 for key in keys}
        hits = [one["clip_r_correct"] for pictures in report["images"].values() for one in pictures.values()]
        report["scores"].update(scores, clip_r=sum(hits) / len(hits), fid=round(draw.uniform(1, 9), 3), final=final)
        report["intervals"] = {"final": [final - 0.06, final + 0.06]}
        if name == "Gale":
            report["provenance"]["post_processed"] = 2
        if name == "Half":
            report["provenance"].update(complete=False, comparable=False)
            report["scores"]["fid"] = None
        if name == "Toy":
            why = ["toy weights: not comparable with the contest"]
            report["provenance"].update(comparable=False, not_comparable_because=why)

    return change


def start(chromium, driver):
    """A Chromium that keeps to itself, and notes what it complains of and asks for."""
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options, Service(driver))
    browser.set_script_timeout(240)  # axe takes seconds, and a minute on a machine that has much else to do
    return browser


def emulate(browser, scheme):
    """Set what the reader prefers: light or dark, and no motion, which a click would have to wait for."""
    wanted = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
    features = [{"name": name, "value": value} for name, value in wanted.items()]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def page_of(site, name):
    (path,) = site.glob(f"entries/{name.lower()}-*.html")
    return f"entries/{path.name}"


def all_of(browser, selector):
    return browser.find_elements(By.CSS_SELECTOR, selector)


def one_of(browser, selector):
    return browser.find_element(By.CSS_SELECTOR, selector)


def names(browser):
    """Names of the entries that are to be seen, from the top."""
    return [cell.text for cell in all_of(browser, "tbody tr:not([hidden]) th.entry > a")]


def ranked(browser):
    return [name for name in names(browser) if name not in ("Half", "Toy")]


def wait(browser, what):
    WebDriverWait(browser, 10, 0.05).until(lambda _: what())


def keys(browser, *pressed):
    ActionChains(browser).send_keys(*pressed).perform()


def pages(site):
    style = next(path for path in sorted(site.glob("styles/*.00.html")) if "Ember" in path.read_text("utf-8"))
    return ["index.html", page_of(site, "Fern"), f"styles/{style.name}", "compare.html", "methods.html"]


def check_axe(browser, axe, rules, page):
    browser.execute_script(axe)
    ask = (
        "const [rules, done] = arguments;"
        "axe.run(document, rules).then((found) => done(found.violations), (error) => done(String(error)));"
    )
    found = browser.execute_async_script(ask, rules)
    assert isinstance(found, list), found
    told = [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found]
    assert told == [], page


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass
