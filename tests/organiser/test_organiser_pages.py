"""The pages that everybody sees: styled from the first minute, linked to each other, and the log in words."""

import re

from small_event import ToldScorer

from organiser.pages.log import SHOWN, in_words, latest
from organiser.publish import publish
from organiser.settings.event import Event


def cells(page):
    rows = re.findall(r"<tr id=.*?</tr>", page)
    return [[re.sub("<.*?>", "", cell) for cell in re.findall(r"<(?:td|th).*?</t[dh]>", row)] for row in rows]


def test_before_anything_is_scored_the_pages_are_there_and_styled(event):
    desk = event.found(title="<An evening>")
    publish(desk)
    page = (desk.site / "standing.html").read_text()
    assert "Nothing is scored yet" in page and "&lt;An evening&gt;" in page and "index.html" not in page
    for place in re.findall(r'(?:href)="(static/[^"?]+)', page):
        assert (desk.site / place).stat().st_size > 100
    event.send(desk, "a")
    event.work(desk, ToldScorer())
    assert 'href="index.html"' in (desk.site / "standing.html").read_text()
    assert 'href="standing.html"' in (desk.site / "index.html").read_text()


def test_the_log_in_words(event):
    desk = event.found(time_zone="+08:00")
    event.send(desk, "a & b")
    event.work(desk, ToldScorer())
    page = (desk.site / "log.html").read_text()
    assert "<bdi>a &amp; b</bdi>" in page
    told = [(row[0], row[2], row[4].split(" ")[0]) for row in cells(page)]
    assert told[-3:] == [("3", "1", "received,"), ("2", "", "the"), ("1", "", "the")]
    assert cells(page)[0][4].startswith("scoring → scored")
    assert "2026-08-10 17:00:00<" in page and "Time (UTC+08:00)" in page and "public part, Final 0.500000" in page


def test_long_logs_are_cut_and_kinds_that_come_later_are_named():
    lines = [
        {"seq": seq, "time": "2026-08-10T09:00:00.000Z", "what": "new", "hash": "ab" * 32}
        for seq in range(1, SHOWN + 3)
    ]
    rows = latest(lines, Event("c", "r", "w"))
    assert len(rows) == SHOWN and rows[0]["seq"] == SHOWN + 2 and rows[-1]["seq"] == 3
    assert rows[0]["said"] == "new" and rows[0]["hash"] == "ab" * 6
    assert in_words({"what": "choice", "team": "a", "entries": []}, 6) == "chosen: none"
