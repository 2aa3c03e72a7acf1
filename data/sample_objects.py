"""Simple objects as vector shapes on a 100x100 field (y down), back to front, for draw_sample.py."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Point = tuple[float, float]


@dataclass(frozen=True)
class Shape:
    """A closed outline; `tone` (0..3) is which of a style's four colours fills it."""

    points: tuple[Point, ...]
    tone: int


def poly(tone: int, *points: Point) -> Shape:
    return Shape(points, tone)


def oval(tone: int, x: float, y: float, rx: float, ry: float, start: float = 0, end: float = 360) -> Shape:
    """An ellipse, or the segment of one between two angles in degrees (clockwise from the right)."""
    steps = 64
    angles = [math.radians(start + (end - start) * i / steps) for i in range(steps + 1)]
    return Shape(tuple((x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles), tone)


def curve(tone: int, *points: Point) -> Shape:
    """A smooth closed outline through the points (Catmull-Rom spline)."""
    steps, out = 12, []
    for i in range(len(points)):
        a, b, c, d = (points[(i + k) % len(points)] for k in (-1, 0, 1, 2))
        for step in range(steps):
            t = step / steps
            out.append(tuple(_spline(a[k], b[k], c[k], d[k], t) for k in (0, 1)))
    return Shape(tuple((x, y) for x, y in out), tone)


def band(tone: int, width: float, *points: Point) -> Shape:
    """A line of some width as a closed outline."""
    left, right = [], []
    for i, (x, y) in enumerate(points):
        x0, y0 = points[max(i - 1, 0)]
        x1, y1 = points[min(i + 1, len(points) - 1)]
        length = math.hypot(x1 - x0, y1 - y0)
        dx, dy = -(y1 - y0) / length * width / 2, (x1 - x0) / length * width / 2
        left.append((x + dx, y + dy))
        right.append((x - dx, y - dy))
    return Shape(tuple(left + right[::-1]), tone)


def arc(tone: int, width: float, x: float, y: float, r: float, start: float, end: float) -> Shape:
    return band(tone, width, *oval(0, x, y, r, r, start, end).points)


def rays(tone: int, count: int, inner: float, outer: float, half: float, turn: float = 0) -> list[Shape]:
    """Triangles around the middle; `half` is half their angle at the foot, in degrees."""
    out = []
    for i in range(count):
        a = 360 / count * i + turn
        tip, foot1, foot2 = _polar(outer, a), _polar(inner, a - half), _polar(inner, a + half)
        out.append(poly(tone, foot1, tip, foot2))
    return out


def _polar(radius: float, degrees: float, x: float = 50, y: float = 50) -> Point:
    angle = math.radians(degrees)
    return x + radius * math.cos(angle), y + radius * math.sin(angle)


def _spline(a: float, b: float, c: float, d: float, t: float) -> float:
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)


def mirror(shapes: Sequence[Shape]) -> list[Shape]:
    """The shapes, and the same reflected at the vertical middle."""
    return [*shapes, *(Shape(tuple((100 - x, y) for x, y in s.points), s.tone) for s in shapes)]


def _star() -> list[Shape]:
    tips = [_polar(38, 72 * i - 90, y=53) for i in range(5)]
    dents = [_polar(16, 72 * i - 54, y=53) for i in range(5)]
    out = []
    for i in range(5):
        out += [poly(0, (50, 53), dents[i - 1], tips[i]), poly(3, (50, 53), tips[i], dents[i])]
    return out


def _flower() -> list[Shape]:
    petals = []
    for i in range(7):
        x, y = _polar(17, 360 / 7 * i - 90, 50, 35)
        petals.append(oval(i % 2 * 3, x, y, 10.5, 10.5))
    stem = [
        band(2, 4, (50, 50), (51, 70), (49, 92)),
        *mirror([curve(2, (50, 84), (36, 68), (26, 67), (34, 80))]),
    ]
    return [*stem, *petals, oval(1, 50, 35, 10, 10)]


def _balloon() -> list[Shape]:
    envelope = [(50, 10), (76, 22), (80, 42), (66, 60), (56, 70), (44, 70), (34, 60), (20, 42), (24, 22)]
    return [
        *mirror([band(3, 1.6, (44, 70), (45.5, 80))]),
        curve(0, *envelope),
        curve(1, (50, 10), (65, 24), (66, 44), (58, 62), (54, 70), (46, 70), (42, 62), (34, 44), (35, 24)),
        curve(2, (50, 10), (55, 26), (56, 44), (52, 70), (48, 70), (44, 44), (45, 26)),
        poly(3, (43, 79), (57, 79), (55, 90), (45, 90)),
    ]


def _butterfly() -> list[Shape]:
    upper = curve(0, (51, 46), (60, 26), (80, 16), (90, 26), (82, 46), (64, 53))
    lower = curve(1, (51, 53), (66, 54), (80, 62), (80, 78), (68, 84), (57, 72))
    spots = [oval(3, 76, 32, 6.5, 6.5), oval(2, 69, 68, 5.5, 5.5)]
    feelers = [band(3, 1.6, (51, 32), (56, 20), (63, 15))]
    return [*mirror([upper, lower, *spots, *feelers]), oval(3, 50, 54, 3.6, 23)]


def _tree() -> list[Shape]:
    trunk = poly(3, (44, 92), (46, 66), (36, 54), (40, 52), (49, 60), (58, 48), (62, 51), (54, 66), (57, 92))
    crowns = [oval(2, 32, 46, 19, 15), oval(2, 68, 44, 19, 16), oval(2, 50, 28, 24, 18)]
    fruit = [oval(1, x, y, 3, 3) for x, y in ((26, 45), (38, 38), (47, 22), (60, 31), (72, 39), (64, 50), (34, 53))]
    return [trunk, *crowns, *fruit]


OBJECTS: dict[str, Callable[[], list[Shape]]] = {
    "apple": lambda: [
        curve(
            0,
            (50, 32),
            (66, 25),
            (82, 40),
            (76, 68),
            (60, 86),
            (50, 82),
            (40, 86),
            (24, 68),
            (18, 40),
            (34, 25),
        ),
        curve(1, (28, 42), (36, 34), (34, 48), (30, 58)),
        band(3, 3.4, (50, 34), (51, 24), (55, 14)),
        curve(2, (53, 24), (64, 12), (80, 13), (70, 25)),
    ],
    "bottle": lambda: [
        poly(
            2,
            (43, 10),
            (57, 10),
            (57, 32),
            (67, 46),
            (67, 86),
            (63, 91),
            (37, 91),
            (33, 86),
            (33, 46),
            (43, 32),
        ),
        poly(3, (41, 8), (59, 8), (59, 17), (41, 17)),
        poly(1, (33, 53), (67, 53), (67, 77), (33, 77)),
        oval(0, 50, 65, 8, 8),
    ],
    "butterfly": _butterfly,
    "candle": lambda: [
        poly(1, (38, 44), (62, 44), (62, 84), (38, 84)),
        curve(1, (38, 46), (44, 41), (56, 41), (62, 46), (61, 56), (57, 52), (52, 60), (47, 51), (41, 58)),
        band(3, 2.2, (50, 43), (50, 34)),
        curve(0, (50, 8), (59, 25), (57, 35), (50, 38), (43, 35), (41, 25)),
        curve(1, (50, 21), (54, 30), (50, 36), (46, 30)),
        oval(2, 50, 86, 28, 6.5),
        arc(3, 3, 80, 82, 6.5, -130, 130),
    ],
    "cloud": lambda: [
        curve(
            1,
            (20, 68),
            (12, 56),
            (22, 46),
            (34, 45),
            (42, 28),
            (60, 27),
            (68, 41),
            (82, 44),
            (88, 58),
            (78, 69),
        ),
        *(band(2, 3, (x, 76), (x - 5, 89)) for x in (30, 44, 58, 72)),
    ],
    "coffee_cup": lambda: [
        arc(0, 6, 73, 55, 13, -100, 110),
        poly(0, (24, 38), (74, 38), (70, 66), (62, 78), (36, 78), (28, 66)),
        oval(1, 49, 38, 25, 5.5),
        oval(3, 49, 38.5, 20, 3.6),
        oval(2, 49, 83, 35, 6),
        *(band(1, 2.6, (x, 28), (x + 3, 22), (x - 2, 16), (x + 1, 9)) for x in (38, 49, 60)),
    ],
    "fish": lambda: [
        poly(1, (70, 50), (92, 30), (86, 50), (92, 70)),
        curve(2, (34, 34), (50, 18), (64, 28), (58, 38)),
        curve(2, (42, 66), (52, 80), (62, 74), (54, 62)),
        curve(0, (8, 50), (24, 34), (46, 30), (64, 38), (76, 50), (64, 62), (46, 70), (24, 66)),
        *(arc(3, 2.2, 34 + 12 * i, 50, 13 - i * 2, -55, 55) for i in range(3)),
        oval(1, 23, 45, 4.6, 4.6),
        oval(3, 22.5, 45, 2, 2),
    ],
    "flower": _flower,
    "hot_air_balloon": _balloon,
    "house": lambda: [
        poly(3, (66, 18), (75, 18), (75, 40), (66, 32)),
        poly(1, (22, 46), (78, 46), (78, 88), (22, 88)),
        poly(0, (50, 14), (88, 48), (12, 48)),
        poly(3, (44, 64), (58, 64), (58, 88), (44, 88)),
        *mirror([poly(2, (27, 56), (39, 56), (39, 68), (27, 68))]),
        oval(2, 50, 36, 6, 6),
    ],
    "key": lambda: [
        poly(1, (45, 46), (55, 46), (55, 90), (45, 90)),
        poly(1, (55, 70), (68, 70), (68, 76), (55, 76)),
        poly(1, (55, 81), (72, 81), (72, 88), (55, 88)),
        oval(0, 50, 29, 21, 21),
        oval(3, 50, 27, 9, 9),
        poly(2, (41, 48), (59, 48), (59, 54), (41, 54)),
    ],
    "lamp": lambda: [
        poly(3, (47.5, 46), (52.5, 46), (52.5, 84), (47.5, 84)),
        poly(0, (38, 12), (62, 12), (78, 48), (22, 48)),
        poly(1, (46, 12), (54, 12), (60, 48), (40, 48)),
        oval(2, 50, 87, 21, 5.5),
        band(3, 1.4, (65, 48), (65, 62)),
        oval(1, 65, 64, 2.4, 2.4),
    ],
    "leaf": lambda: [
        curve(2, (22, 82), (20, 54), (36, 26), (78, 14), (80, 48), (64, 74), (38, 84)),
        curve(0, (22, 82), (42, 56), (60, 36), (78, 14), (80, 48), (64, 74), (38, 84)),
        band(3, 2.6, (12, 93), (24, 80), (48, 50), (76, 17)),
        *(band(3, 1.8, (36 + 11 * i, 65 - 13 * i), (35 + 10 * i, 46 - 11 * i)) for i in range(3)),
        *(band(3, 1.8, (36 + 11 * i, 65 - 13 * i), (54 + 9 * i, 66 - 12 * i)) for i in range(3)),
    ],
    "moon": lambda: [
        curve(
            1,
            (60, 12),
            (40, 14),
            (22, 32),
            (20, 58),
            (36, 80),
            (62, 86),
            (82, 74),
            (62, 70),
            (46, 54),
            (46, 30),
        ),
        *(oval(3, x, y, r, r) for x, y, r in ((31, 46, 4.5), (42, 70, 5.5), (35, 62, 2.6))),
        *(poly(0, (x, y - r), (x + r / 3, y), (x, y + r), (x - r / 3, y)) for x, y, r in ((72, 28, 9), (82, 52, 6))),
        *(poly(0, (x - r, y), (x, y - r / 3), (x + r, y), (x, y + r / 3)) for x, y, r in ((72, 28, 9), (82, 52, 6))),
    ],
    "mountain": lambda: [
        oval(0, 74, 26, 11, 11),
        poly(3, (46, 86), (72, 38), (96, 86)),
        poly(1, (72, 38), (80, 54), (74, 51), (70, 56), (66, 50)),
        poly(2, (4, 86), (40, 18), (76, 86)),
        poly(1, (40, 18), (52, 41), (46, 38), (40, 45), (34, 38), (28, 41)),
    ],
    "mushroom": lambda: [
        curve(1, (42, 50), (58, 50), (59, 72), (64, 88), (50, 91), (36, 88), (41, 72)),
        curve(0, (12, 54), (18, 30), (38, 14), (62, 14), (82, 30), (88, 54), (68, 59), (50, 57), (32, 59)),
        *(oval(1, x, y, r, r * 0.9) for x, y, r in ((50, 28, 8), (29, 39, 6), (71, 38, 6.5), (51, 48, 4), (62, 21, 3))),
        *mirror([curve(2, (18, 91), (24, 76), (27, 91)), curve(2, (25, 91), (34, 80), (34, 91))]),
    ],
    "olive_tree": _tree,
    "rocket": lambda: [
        curve(1, (43, 74), (57, 74), (55, 86), (50, 96), (45, 86)),
        *mirror([poly(2, (38, 52), (22, 72), (24, 80), (40, 72))]),
        curve(0, (50, 5), (62, 22), (65, 46), (60, 74), (40, 74), (35, 46), (38, 22)),
        curve(3, (50, 5), (59, 17), (62, 27), (50, 29), (38, 27), (41, 17)),
        oval(3, 50, 43, 8.5, 8.5),
        oval(1, 50, 43, 5.5, 5.5),
    ],
    "sailing_boat": lambda: [
        poly(3, (48, 10), (51, 10), (51, 68), (48, 68)),
        curve(0, (53, 14), (70, 34), (80, 60), (66, 62), (53, 62)),
        curve(1, (46, 22), (30, 42), (20, 60), (34, 62), (46, 61)),
        poly(2, (12, 67), (88, 67), (76, 84), (26, 84)),
        *(arc(3, 2.4, 26 + 16 * i, 86, 8, 20, 160) for i in range(4)),
    ],
    "star": _star,
    "sun": lambda: [
        *rays(0, 12, 26, 44, 9),
        *rays(1, 12, 26, 36, 6, 15),
        oval(1, 50, 50, 23, 23),
        oval(0, 50, 50, 15, 15),
    ],
}
