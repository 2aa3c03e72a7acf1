"""Draw the sample contest: python data/draw_sample.py [FOLDER]. The same pixels each time.

Three styles that differ in colour, line and texture, ten objects in each: small enough for a repository, and
like the contest's data in their layout, `<style>/images/*.png` and `<style>/prompt.json`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw
from sample_objects import OBJECTS, Shape

SIZE = 128
SCALE = 6  # drawn this much larger, then averaged down, which smooths every edge
BIG = SIZE * SCALE
Colour = tuple[int, int, int]


def blueprint(shapes: Sequence[Shape], number: int) -> Image.Image:
    """White lines on blue paper with a grid, dimension lines and a title block."""
    paper, faint, line, cyan = (24, 66, 140), (44, 90, 166), (236, 244, 255), (126, 205, 245)
    image = Image.new("RGB", (BIG, BIG), paper)
    draw = ImageDraw.Draw(image)
    for i in range(0, SIZE + 1, 8):
        width = SCALE if i % 32 == 0 else SCALE // 2
        draw.line([(i * SCALE, 0), (i * SCALE, BIG)], faint, width)
        draw.line([(0, i * SCALE), (BIG, i * SCALE)], faint, width)
    tints = ((34, 84, 164), (50, 106, 188), (28, 74, 150), (68, 128, 206))
    for shape in shapes:
        points = _place(shape, 0.84, (0, -5))
        draw.polygon(points, tints[shape.tone])
        draw.line([*points, points[0], points[1]], line, int(1.5 * SCALE), joint="curve")
    x0, y0, x1, y1 = _bounds(shapes, 0.84, (0, -5))
    for at in range(int(y0) - 4 * SCALE, int(y1) + 4 * SCALE, 5 * SCALE):  # the dashed middle line
        draw.line([(BIG // 2, at), (BIG // 2, at + 3 * SCALE)], cyan, SCALE // 2)
    low = min(y1 + 7 * SCALE, BIG - 7 * SCALE)
    draw.line([(x0, low), (x1, low)], cyan, SCALE)
    for x, inward in ((x0, 1), (x1, -1)):
        draw.line([(x, low - 3 * SCALE), (x, low + 3 * SCALE)], cyan, SCALE)
        tip = [(x, low), (x + inward * 5 * SCALE, low - 2 * SCALE), (x + inward * 5 * SCALE, low + 2 * SCALE)]
        draw.polygon(tip, cyan)
    draw.rectangle([3 * SCALE, 3 * SCALE, BIG - 3 * SCALE, BIG - 3 * SCALE], outline=cyan, width=SCALE)
    for row in range(3):  # lines of writing, too small to read
        end = 8 + (11, 15, 7)[(row + number) % 3]
        draw.line([(8 * SCALE, (8 + 3 * row) * SCALE), (end * SCALE, (8 + 3 * row) * SCALE)], cyan, SCALE)
    return image


def risograph(shapes: Sequence[Shape], number: int) -> Image.Image:
    """Two inks in halftone dots on warm paper, the second printed a little beside its place."""
    paper, pink, teal = (247, 240, 222), (255, 84, 98), (16, 112, 138)
    tones = ((0.95, 0.0), (0.1, 0.0), (0.0, 0.55), (0.5, 1.0))  # how much of each ink covers
    sky = np.tile(np.linspace(0.04, 0.36, BIG)[:, None], (1, BIG)) if number % 2 else _disc_field()
    covers = [sky, np.zeros((BIG, BIG))]
    for shape in shapes:
        mask, outline = Image.new("1", (BIG, BIG)), Image.new("1", (BIG, BIG))
        points = _place(shape, 0.94)
        ImageDraw.Draw(mask).polygon(points, 1)
        ImageDraw.Draw(outline).line([*points, points[0], points[1]], 1, int(1.4 * SCALE), joint="curve")
        for cover, amount in zip(covers, tones[shape.tone]):
            cover[np.asarray(mask)] = amount
        covers[1][np.asarray(outline)] = 1
    image = Image.new("RGB", (BIG, BIG), paper)
    for cover, ink, angle, shift in zip(covers, (pink, teal), (0.26, 1.31), (0, 8)):
        dots = Image.fromarray(_halftone(np.roll(cover, (shift, shift), (0, 1)), angle))
        sheet = Image.composite(Image.new("RGB", image.size, ink), Image.new("RGB", image.size, "white"), dots)
        image = ImageChops.multiply(image, sheet)
    return image


def stained_glass(shapes: Sequence[Shape], number: int) -> Image.Image:
    """Jewel-coloured panes between black leads, with light falling through the middle."""
    sky = ((28, 66, 150), (22, 92, 160), (48, 52, 140), (18, 112, 150), (64, 60, 158))
    jewels = ((206, 36, 52), (246, 184, 44), (28, 140, 84), (118, 48, 140))
    lead = (22, 20, 26)
    image = Image.new("RGB", (BIG, BIG), lead)
    draw = ImageDraw.Draw(image)
    middle = BIG / 2
    count = 10
    for i in range(count):  # the background: rays, each cut by a circle into two panes
        corners = [_around(2.0 * middle, i + k, count, number) for k in (0, 0.5, 1)]
        _pane(draw, [(middle, middle), *corners], sky[(i * 2 + number) % len(sky)], lead)
        inner = [_around(0.74 * middle, i + k / 8, count, number) for k in range(9)]
        _pane(draw, [(middle, middle), *inner], sky[(i * 2 + 1 + number) % len(sky)], lead)
    for i, shape in enumerate(shapes):
        shade = 0.88 + 0.08 * (i * 7 % 4)
        colour = tuple(min(int(c * shade), 255) for c in jewels[shape.tone])
        _pane(draw, _place(shape, 0.86), (colour[0], colour[1], colour[2]), lead)
    y, x = np.mgrid[0:BIG, 0:BIG] / BIG - 0.5
    grain = 0.035 * np.sin(90 * x + 14 * np.sin(17 * y)) * np.sin(80 * y + 12 * np.sin(13 * x))
    light = 1.28 - 1.3 * (x**2 + (y + 0.08) ** 2) + grain
    lit = np.clip(np.asarray(image) * light[..., None], 0, 255).astype(np.uint8)
    image = Image.fromarray(lit)
    ImageDraw.Draw(image).rectangle([0, 0, BIG - 1, BIG - 1], outline=lead, width=4 * SCALE)
    return image


STYLES: dict[str, tuple[Callable[[Sequence[Shape], int], Image.Image], str, tuple[str, ...]]] = {
    "00": (
        blueprint,
        "bottle candle coffee_cup house key lamp mountain rocket sailing_boat star",
        ("Lighthouse", "Bicycle", "Chair", "Clock", "Bridge", "Camera", "Windmill", "Umbrella"),
    ),
    "01": (
        risograph,
        "apple cloud fish flower hot_air_balloon moon mountain mushroom olive_tree sun",
        ("Ice cream", "Owl", "Cactus", "Pineapple", "Butterfly", "Train", "Castle", "Watermelon"),
    ),
    "02": (
        stained_glass,
        "butterfly candle fish flower house leaf moon sailing_boat star sun",
        ("Rose", "Dolphin", "Peacock", "Tower", "Swan", "Grapes", "Whale", "Eagle"),
    ),
}


def draw(style: str, name: str) -> Image.Image:
    """One reference: RGB, SIZE x SIZE."""
    render, names, _ = STYLES[style]
    return render(OBJECTS[name](), names.split().index(name)).reduce(SCALE)


def write(folder: Path) -> None:
    """Write the whole contest under `folder`."""
    for style, (_, names, prompts) in STYLES.items():
        (folder / style / "images").mkdir(parents=True, exist_ok=True)
        for name in names.split():
            draw(style, name).save(folder / style / "images" / f"{name}.png", optimize=True)
        numbered = {str(i): prompt for i, prompt in enumerate(prompts)}
        (folder / style / "prompt.json").write_text(json.dumps(numbered, indent=4) + "\n", "utf-8")


def _place(shape: Shape, zoom: float, move: tuple[float, float] = (0, 0)) -> list[tuple[float, float]]:
    """Object coordinates (0..100) to pixels of the large canvas; `move` is in small pixels."""
    return [
        (
            (50 + (x - 50) * zoom) / 100 * BIG + move[0] * SCALE,
            (50 + (y - 50) * zoom) / 100 * BIG + move[1] * SCALE,
        )
        for x, y in shape.points
    ]


def _bounds(shapes: Sequence[Shape], zoom: float, move: tuple[float, float]) -> tuple[float, ...]:
    points = [point for shape in shapes for point in _place(shape, zoom, move)]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)


def _pane(draw: ImageDraw.ImageDraw, points: list[tuple[float, float]], fill: Colour, lead: Colour) -> None:
    draw.polygon(points, fill)
    draw.line([*points, points[0], points[1]], lead, int(2.2 * SCALE), joint="curve")


def _around(radius: float, step: float, count: int, number: int) -> tuple[float, float]:
    angle = 2 * np.pi * (step / count) + 0.13 * number
    return BIG / 2 + radius * float(np.cos(angle)), BIG / 2 + radius * float(np.sin(angle))


def _disc_field() -> np.ndarray:
    """A soft round glow behind the object."""
    y, x = np.mgrid[0:BIG, 0:BIG] / BIG - 0.5
    return np.clip(0.34 - 0.75 * np.hypot(x, y), 0.02, 1)


def _halftone(cover: np.ndarray, angle: float) -> np.ndarray:
    """Coverage 0..1 to a uint8 mask of round dots on a grid turned by `angle`, 4 small pixels apart."""
    y, x = np.mgrid[0:BIG, 0:BIG] * (2 * np.pi / (4 * SCALE))
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    screen = (2 - np.cos(u) - np.cos(v)) / 4  # 0 in a dot's middle, 1 between dots; evenly spread enough
    return np.where(screen < cover, 255, 0).astype(np.uint8)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "sample")
