"""Copies are listed and honest entries of one style are not; jumps; an entry is drawn again by another process."""

import io
import json
import random
import stat
import sys
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter
from small_event import STYLES, ToldScorer, entry_bytes, hash_of, picture

from contest.errors import UserError
from organiser.books.ledger import Entry
from organiser.cli import main
from organiser.intake import take
from organiser.reviewing.reproduction import Redrawn, decide, reproduce
from organiser.reviewing.suspicion import hashes_of, near_copies, review
from organiser.settings.event import Suspicion
from organiser.settings.reading import read_event
from submission.packing.manifest import File, make_manifest

SIDE = 192
PROMPTS = [f"{style}/{prompt}" for style in range(3) for prompt in range(8)]
GROUNDS = [("#203a5c", "#e8d7b0"), ("#7a1f2b", "#f3c98b"), ("#1e4d2b", "#cfe8c6")]


def drawn(team, number):
    """A team's picture: ground and colours are the style's, what is drawn is the prompt's, where and how the team's."""
    style, prompt = divmod(number, 8)
    shape, own = random.Random(f"shape {number}"), random.Random(f"{team} {number}")
    dark, light = GROUNDS[style]
    ramp = Image.linear_gradient("L").rotate(90 * style).resize((SIDE, SIDE))
    image = Image.composite(Image.new("RGB", (SIDE, SIDE), light), Image.new("RGB", (SIDE, SIDE), dark), ramp)
    pen = ImageDraw.Draw(image)
    for _ in range(12):  # strokes of the style
        x, y = own.randrange(SIDE), own.randrange(SIDE)
        pen.line(
            (x, y, x + own.randrange(-60, 60), y + own.randrange(-60, 60)), fill=own.choice((dark, light)), width=5
        )
    size, x, y = own.randrange(70, 120), own.randrange(10, 80), own.randrange(10, 80)
    for part in range(3):  # the object, of which every team knows what it looks like
        left, top = x + shape.randrange(size // 2 + 1), y + shape.randrange(size // 2 + 1)
        box = (left, top, left + size // 2, top + size // (2 + part % 2))
        getattr(pen, ("ellipse", "rectangle")[(prompt + part) % 2])(box, fill=(dark, light)[part % 2], outline=light)
    return image


def shifted(image, by):
    """To the right and down, or to the left and up; what is uncovered repeats the edge."""
    wide = np.pad(np.asarray(image), ((12, 12), (12, 12), (0, 0)), "edge")
    return Image.fromarray(wide[12 - by : 12 - by + SIDE, 12 - by : 12 - by + SIDE])


def recompressed(image):
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=40)
    return Image.open(stream).convert("RGB")


CHANGES = {
    "shifted by a sixtieth": lambda image: shifted(image, 3),
    "shifted by a sixteenth": lambda image: shifted(image, -12),
    "cropped": lambda image: image.crop((4, 4, SIDE - 4, SIDE - 4)).resize((SIDE, SIDE), Image.Resampling.LANCZOS),
    "rescaled": lambda image: image.resize((SIDE // 3, SIDE // 3)).resize((SIDE, SIDE), Image.Resampling.BICUBIC),
    "recompressed": recompressed,
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(3)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
}


def hashes(pictures):
    return {name: hashes_of(image) for name, image in zip(PROMPTS, pictures)}


def entry(number, team):
    return Entry(number, team, "f", f"{number:064x}", 1, "f", "t", "scored", "", "t", "t", None, 1, None)


HONEST = {team: [drawn(team, number) for number in range(len(PROMPTS))] for team in "abcdef"}


@pytest.mark.parametrize("change", CHANGES)
def test_a_copy_is_listed_and_honest_teams_are_not(change):
    teams = {team: hashes(pictures) for team, pictures in HONEST.items()}
    teams["thief"] = hashes(CHANGES[change](image) for image in HONEST["c"])
    entries = [entry(number, team) for number, team in enumerate(teams, 1)]
    looks = {one.sha256: teams[one.team] for one in entries}
    (found,) = near_copies(entries, looks, Suspicion())
    assert found.entries == (3, 7) and found.teams == ("c", "thief") and found.strength > 0.6
    assert "entry 3 came first" in found.said


def test_own_entries_are_no_copies_and_the_share_counts():
    own = hashes(HONEST["a"])
    half = {**hashes(HONEST["b"]), **{name: own[name] for name in PROMPTS[: len(PROMPTS) // 2]}}
    entries = [entry(1, "a"), entry(2, "a"), entry(3, "b")]
    looks = {entries[0].sha256: own, entries[1].sha256: own, entries[2].sha256: half}
    assert [one.entries for one in near_copies(entries, looks, Suspicion(share=0.5))] == [(1, 3)]
    assert not list(near_copies(entries, looks, Suspicion(share=0.9)))
    assert not list(near_copies([], {}, Suspicion()))


def test_what_is_to_be_looked_at(event):
    desk = event.found(per_day=9)

    def blurred(style, name):
        """The pictures of a's first entry, filtered and saved anew."""
        place = [(s, n) for s, names in STYLES.items() for n in names].index((style, name))
        with Image.open(io.BytesIO(picture(hash_of("a") + place))) as image:
            stream = io.BytesIO()
            image.filter(ImageFilter.GaussianBlur(1)).save(stream, "png")
        return stream.getvalue()

    def copied(style, name):
        return (event.folder / "references" / style / "images" / f"one {STYLES[style].index(name)}.png").read_bytes()

    event.send(desk, "a")
    event.send(desk, "honest")
    event.send(desk, "thief", change=blurred)
    event.send(desk, "lazy", change=copied)
    scorer = ToldScorer(a=0.3)
    event.work(desk, scorer)
    event.send(desk, "a", 1)
    scorer.figures["a"] = 0.41
    event.work(desk, scorer)
    found = review(desk)
    assert found.entries == 5 and not found.remarks
    assert [(one.kind, one.entries, one.teams) for one in found.suspects] == [
        ("near-copy", (1, 3), ("a", "thief")),
        ("copy of a reference", (4,), ("lazy",)),
        ("jump", (5,), ("a",)),
    ]
    desk.archive(desk.ledger.entry(2)).unlink()  # it has been looked at before
    done = CliRunner().invoke(main, ["review", "--folder", str(event.home)])
    assert done.exit_code == 0, done.output
    assert "near-copy: entry 1 of a and entry 3 of thief: 100% of the pictures look alike" in done.output
    assert len(json.loads((event.home / "review.json").read_text())["suspects"]) == 3
    assert not list(desk.site.rglob("review*"))
    assert event.states(desk) == ["scored"] * 5  # nobody was judged


def test_what_cannot_be_compared_is_told(event):
    desk = event.found()
    for path in (event.folder / "references" / "00" / "images").iterdir():
        path.write_bytes(b"no picture")
    event.send(desk, "a")
    event.work(desk, ToldScorer())
    remarks = review(desk).remarks
    assert len(remarks) == 2 and "is not compared with the reference one 0.png" in remarks[0]


REDRAW = """#!{python}
import sys
from pathlib import Path
import numpy as np
from PIL import Image
words = sys.argv[1:]
assert words[0] == "redraw" and "--base" in words and "--references" in words
assert Path(words[words.index("--lora") + 1]).read_bytes() == b"weights"
image = np.asarray(Image.open(words[-1])).astype(int)
if Path(words[-1]).stem == {broken!r}:
    sys.exit("error: the LoRA is not there")
Image.fromarray(np.clip(image + {shift}, 0, 255).astype(np.uint8)).save(words[words.index("--output") + 1])
sys.exit(1)
"""


def program(event, shift=0, broken=""):
    path = event.folder / "redraw"
    path.write_text(REDRAW.format(python=sys.executable, shift=shift, broken=broken))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return [str(path)]


def with_weights(event, desk):
    """A queued entry as build --include-weights packs it."""
    lora = "lora/00/pytorch_lora_weights.safetensors"
    path = event.folder / "built.zip"
    path.write_bytes(entry_bytes("a"))
    manifest = make_manifest(desk.contest, {lora: File("ab" * 32, 7)}, None, None, None)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(lora, b"weights")
        archive.writestr("manifest.json", manifest.to_bytes())
    return take(desk, path, "a")


def test_an_entry_is_drawn_again(event):
    desk = event.found(reproduction={"base": "BASE", "pictures": 1, "difference": 2.0})
    sent = with_weights(event, desk)
    event.work(desk, ToldScorer())
    assert event.states(desk) == ["scored"]
    sent = desk.ledger.entry(sent.id)
    same = reproduce(desk, sent, program(event, 1))
    assert same.outcome == "reproduced" and [one.picture.split("/")[0] for one in same.pictures] == ["00", "01"]
    image = np.asarray(Image.open(same.place / "sent" / same.pictures[0].picture)).astype(int)
    expected = np.abs(np.clip(image + 1, 0, 255) - image).mean()
    assert same.pictures[0].difference == pytest.approx(expected)
    other = reproduce(desk, sent, program(event, 5))
    assert other.outcome == "not reproduced" and other.place != same.place
    assert [one.picture for one in other.pictures] == [one.picture for one in same.pictures]
    broken = reproduce(desk, sent, program(event, 0, same.pictures[0].picture[3:-4]))
    assert broken.outcome == "undecided" and "LoRA is not there" in broken.pictures[0].said
    told = [json.loads(line) for line in desk.ledger.lines()]
    assert [line["outcome"] for line in told if line["what"] == "reproduction"] == [
        "reproduced",
        "not reproduced",
        "undecided",
    ]


@pytest.mark.parametrize(
    ("good", "bad", "missing", "share", "outcome"),
    [
        (3, 1, 0, 0.75, "reproduced"),
        (3, 1, 0, 0.8, "not reproduced"),
        (3, 0, 1, 0.8, "undecided"),
        (2, 1, 1, 0.8, "not reproduced"),
        (2, 0, 2, 0.5, "reproduced"),
    ],
)
def test_what_could_not_be_drawn_speaks_for_neither_side(good, bad, missing, share, outcome):
    drawn = [*[Redrawn("x", 0.0, True)] * good, *[Redrawn("x", 9.0, False)] * bad]
    assert decide([*drawn, *[Redrawn("x", None, False)] * missing], share) == outcome


def test_what_cannot_be_drawn_again_is_a_line(event):
    desk = event.found()
    sent = event.send(desk, "a")
    with pytest.raises(UserError, match="name no base model"):
        reproduce(desk, sent)
    event.write_rules(reproduction={"base": "BASE"})
    with pytest.raises(UserError, match="is received; only what is scored"):
        reproduce(event.open(), sent)
    event.work(event.open(), ToldScorer())
    done = CliRunner().invoke(main, ["reproduce", "1", "--folder", str(event.home)])
    assert done.exit_code == 2 and "--include-weights" in done.output and done.output.count("\n") == 1


def test_the_settings_are_validated(event):
    event.write_rules(suspicion={"bits": 0, "share": 2, "jump": -1, "pixels": 1}, reproduction={"pictures": 1.5})
    with pytest.raises(UserError) as told:
        read_event(event.folder / "event.yaml")
    for part in (
        "suspicion.bits must be a whole number from 1",
        "suspicion.share must be a share, above 0 and at most 1",
        "suspicion.jump must be a number, not below 0",
        "unknown setting suspicion.pixels",
        "reproduction.base is missing",
        "reproduction.pictures must be a whole number from 1",
    ):
        assert part in str(told.value)
    read = read_event(event.write_rules(suspicion={"bits": 7}, reproduction={"base": "toy", "minutes": 5}))
    assert (read.suspicion, read.reproduction.minutes, read.reproduction.pictures) == (Suspicion(bits=7), 5.0, 2)
