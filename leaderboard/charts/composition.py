"""What Final is made of: a bar for each entry, a segment for each of its six metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from contest.numbers import decimal
from leaderboard.building.difference import LABELS, METRICS, shares_of_final
from leaderboard.charts.drawing import Canvas, Chart, fit, framed_swatch
from leaderboard.i18n import Label, Words

_WIDTH, _ROW, _TOP = 330, 30, 4
_MOST = 20  # bars


def composition(words: Words, name: str, entries: Sequence[tuple[str, Mapping[str, float | None]]]) -> Chart | None:
    """`entries` are (name, scores), best first. None where no entry has all of its scores.

    The segments of a bar add up to Final: half of it for Style's metrics and half for the others', each half shared
    out as its metrics enter it, which is `difference` against an entry that has nothing. A negative share is left out.
    """
    bars = [(title, shares_of_final(scores), scores["final"]) for title, scores in entries[:_MOST]]
    whole = [(title, shares, final) for title, shares, final in bars if shares is not None and final is not None]
    longest = max((sum(max(0.0, share) for share in shares.values()) for _, shares, _ in whole), default=0.0)
    if longest <= 0:
        return None
    canvas = Canvas(_WIDTH, _TOP + _ROW * len(whole) + 2)
    for i, (title, shares, final) in enumerate(whole):
        top = _TOP + _ROW * i
        canvas.text(0, top + 10, fit(title, 44), "bar-name")
        canvas.text(_WIDTH, top + 10, decimal(final, 4), "bar-value end")
        left = 0.0
        for metric in METRICS:
            width = max(0.0, shares[metric]) / longest * _WIDTH
            canvas.rect(left, top + 15, width, 9, f"of-{metric}")
            left += width
    about = words.label("chart.composition.about", n=len(whole))
    legend = tuple(
        (framed_swatch(f'<rect x="1" y="1" width="10" height="10" class="of-{metric}"/>'), Label(LABELS[metric]))
        for metric in METRICS
    )
    return Chart(canvas.svg(name, words.label("chart.composition"), about, "bars"), legend)
