"""What hints say is done to the letter, on what they are said of: the finding must go, and the picture stay as it was.

The code that a hint prints stands behind its first ": "; it is taken from there, never typed again.
"""

import base64
import io
import json
import os
import shlex
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import raw_png
from hostile_zips import CASES as ARCHIVES
from hostile_zips import archive
from PIL import Image, ImageCms, ImageOps, PngImagePlugin
from tiny_entry import CONTEST, chunk, good_files, png, write_files

from contest.definition import Limits
from contest.findings import CHECKS, errors
from submission import Contest, build, check, verify

SUN = "01/Sun.png"
ONE = Contest("one", {"01": ("Sun",)}, limits=Limits(side=64))
# findings whose cure is a person's: something must be drawn, fetched, decided, or written
PERSONS = {
    "S101": "generate the style",
    "S102": "generate the picture",
    "S203": "copy or generate it again",
    "S210": "generate it again",
    "S211": "generate it again",
    "S212": "look at both",
    "S213": "look at it",
    "S215": "put the references there",
    "S216": "read the rules",
    "S303": "build from what is meant",
    "S304": "build from what is meant",
    "S305": "build from what is meant",
    "S306": "say which contest is meant",
    "S308": "score again",
    "S309": "put back the LoRA",
    "S405": "the password is theirs",
    "S409": "decide what to leave out",
    "S410": "leave it out",
    "S414": "the other parts are theirs",
    "S501": "draw more",
    "S502": "write the prompts",
    "S503": "write the prompts",
    "S504": "write the prompt",
    "S506": "decide which row is meant",
    "S507": "write the prompt",
    "S508": "make the sheet",
    "S509": "make the sheet",
    "S510": "draw better ones",
    "S511": "score again",
    "S601": "the registered name is theirs",
    "S602": "put the code there",
    "S603": "write the environment file",
    "S604": "write the environment file",
    "S605": "know which version was used",
    "S606": "run it with that version",
    "S607": "write the description",
    "S608": "write the description",
    "S609": "use the framework",
    "S610": "leave it out",
}
ARCHIVED = {code for code in CHECKS if "S4" < code < "S5"} - set(PERSONS)
BUILT = {"S301", "S302", "S307"}
NAMES = {"S103", "S104", "S105", "S106", "S107", "S108", "S109", "S110", "S111", "S112", "S113", "S505"}
PIXELS = {"S201", "S202", "S204", "S205", "S206", "S207", "S208", "S209", "S214"}


def test_every_code_has_its_cure_run_or_is_a_persons():
    kinds = (set(PERSONS), ARCHIVED, BUILT, NAMES, PIXELS)
    assert sum(map(len, kinds)) == len(set().union(*kinds))
    assert set().union(*kinds) == set(CHECKS)


def code_of(hint):
    return hint.partition(": ")[2]


def run(hint, path):
    """Do what the hint prints, as a user would in Python."""
    names = {"Image": Image, "ImageOps": ImageOps, "ImageCms": ImageCms, "PngImagePlugin": PngImagePlugin}
    limits = PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY
    try:
        exec(
            compile(code_of(hint), hint, "exec"), {**names, "base64": base64, "io": io, "Path": Path, "path": str(path)}
        )
    finally:
        PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY = limits


def cure_all(folder, contest=ONE):
    """Run the cure of one finding after the other until none is left; returns the codes in their order."""
    codes = []
    while findings := check(folder, contest):
        first = findings[0]
        assert len(codes) < 6, findings
        run(first.hint, folder / first.path)
        left = check(folder, contest)
        assert (first.code, first.message) not in [(one.code, one.message) for one in left], first
        codes.append(first.code)
    return codes


def shown(path):
    """The picture as OpenCV reads it, in red, green and blue."""
    return cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1].astype(float)


def over_white(pixels, most):
    alpha = pixels[..., 3:] / most
    return (pixels[..., :3] * alpha + most * (1 - alpha)) * (255 / most)


KINDS = [kind for kind in raw_png.KINDS if kind[:3] != (raw_png.RGB, 8, False)]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_other_kinds_become_rgb_and_look_the_same(kind, tmp_path):
    colour, depth, transparent, _ = kind
    data, pixels = raw_png.picture(*kind)
    write_files(tmp_path, {SUN: data})
    assert cure_all(tmp_path) == ["S202"]
    most = 65535 if depth == 16 else 255
    in_degrees = colour in (raw_png.GREY_ALPHA, raw_png.RGBA) or (colour == raw_png.PALETTE and transparent)
    wanted = over_white(pixels, most) if in_degrees else pixels[..., :3] * (255 / most)
    np.testing.assert_allclose(shown(tmp_path / SUN), wanted, atol=2 if in_degrees else 1)


@pytest.mark.parametrize("colour", [raw_png.GREY_ALPHA, raw_png.RGBA])
def test_opaque_alpha_changes_nothing(colour, tmp_path):
    samples = np.random.default_rng(0).integers(0, 256, (8, 8, raw_png.CHANNELS[colour]))
    samples[..., -1] = 255
    write_files(tmp_path, {SUN: raw_png.encode(samples, colour, 8)})
    assert cure_all(tmp_path) == ["S202"]
    np.testing.assert_array_equal(shown(tmp_path / SUN), np.broadcast_to(samples[..., :-1], (8, 8, 3)))


def test_gif_saved_as_png_keeps_its_colours(tmp_path):
    picture = Image.open(io.BytesIO(png(size=(16, 16)))).quantize(16)
    (tmp_path / "01").mkdir()
    picture.save(tmp_path / SUN, transparency=3)
    assert cure_all(tmp_path) == ["S202"]
    np.testing.assert_array_equal(shown(tmp_path / SUN), np.asarray(picture.convert("RGB")))


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


TURNS = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "I;16"])
def test_orientation_is_turned_into_the_pixels(mode, orientation, tmp_path):
    upright = png(mode=mode, exif=exif(orientation))
    stored = np.asarray(Image.open(io.BytesIO(png(mode="L" if mode == "I;16" else "RGB"))).convert("RGB"))
    write_files(tmp_path, {SUN: upright})
    assert set(cure_all(tmp_path)) <= {"S202", "S205"}
    np.testing.assert_allclose(shown(tmp_path / SUN), TURNS[orientation](stored), atol=1)


def noted(kind, content, data=None):
    data = png() if data is None else data
    return data[:33] + chunk(kind, content) + data[33:]


def large_text(way, **options):
    notes = PngImagePlugin.PngInfo()
    getattr(notes, way)("prompt", "x" * (1 << 21), **options)
    return png(pnginfo=notes)


def animated():
    frames = [Image.open(io.BytesIO(png(seed=seed))) for seed in (0, 1)]
    stream = io.BytesIO()
    frames[0].save(stream, "PNG", save_all=True, append_images=frames[1:])
    return stream.getvalue()


def texts_together():
    one = noted(b"zTXt", b"a\0\0" + zlib_of(bytes(1 << 20)))[33:]
    extra = one[: one.index(b"IDAT") - 4] * 65
    whole = png()
    return whole[:33] + extra + whole[33:]


def zlib_of(data):
    import zlib

    return zlib.compress(data)


SAME_PIXELS = {
    "trailing bytes": (lambda: png() + b"more", ["S206"]),
    "trailing zip": (lambda: png() + archive(), ["S206"]),
    "animated": (animated, ["S208"]),
    "large text": (lambda: large_text("add_text", zip=True), ["S214"]),
    "large Unicode text": (lambda: large_text("add_itxt", zip=True), ["S214"]),
    "large profile": (lambda: png(icc_profile=bytes(1 << 21)), ["S214"]),
    "large texts together": (texts_together, ["S214"]),
    "primaries": (lambda: noted(b"cHRM", bytes(32)), ["S209"]),
    "code points": (lambda: noted(b"cICP", bytes((9, 16, 0, 1))), ["S209"]),
    "damaged profile": (lambda: noted(b"iCCP", b"mine\0\0damaged"), ["S209"]),
    "profile of another space": (
        lambda: png(icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()),
        ["S209"],
    ),
}


@pytest.mark.parametrize("name", SAME_PIXELS)
def test_what_is_beside_the_pixels_goes_and_they_stay(name, tmp_path):
    make, codes = SAME_PIXELS[name]
    write_files(tmp_path, {SUN: make()})
    assert cure_all(tmp_path) == codes
    np.testing.assert_array_equal(shown(tmp_path / SUN), np.asarray(Image.open(io.BytesIO(png()))))


@pytest.mark.parametrize("gamma", [100_000, 55_556, 30_000])
def test_gamma_goes_into_the_pixels(gamma, tmp_path):
    write_files(tmp_path, {SUN: noted(b"gAMA", struct.pack(">I", gamma))})
    assert cure_all(tmp_path) == ["S209"]
    before = np.asarray(Image.open(io.BytesIO(png()))) / 255
    light = before ** (100_000 / gamma)
    np.testing.assert_allclose(shown(tmp_path / SUN), 255 * light ** (45_455 / 100_000), atol=0.51)


def wide_profile():
    """sRGB with red and blue primaries exchanged, which shows when it is heeded."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile = profile.replace(b"rXYZ", b"tXYZ").replace(b"bXYZ", b"rXYZ").replace(b"tXYZ", b"bXYZ")
    for text in ("sRGB built-in", "sRGB"):
        for kind in ("utf-16-be", "latin-1"):
            profile = profile.replace(text.encode(kind), ("X" * len(text)).encode(kind))
    return bytes(profile)


def test_profile_goes_into_the_pixels(tmp_path):
    write_files(tmp_path, {SUN: png(icc_profile=wide_profile())})
    assert cure_all(tmp_path) == ["S209"]
    before = np.asarray(Image.open(io.BytesIO(png())))
    np.testing.assert_allclose(shown(tmp_path / SUN), before[..., ::-1], atol=3)


@pytest.mark.parametrize("size", [(100, 50), (65, 65)])
def test_too_large_becomes_smaller(size, tmp_path):
    write_files(tmp_path, {SUN: png(size=size)})
    assert cure_all(tmp_path) == ["S207"]
    with Image.open(tmp_path / SUN) as image:
        assert max(image.size) == 64


@pytest.mark.parametrize("code", ["S201", "S202", "S203", "S204", "S205", "S206", "S207", "S208", "S209", "S214"])
def test_usual_hints_are_whole_or_words_only(code):
    """What stands behind ": " compiles, so that nobody is told to run what is none."""
    compile(code_of(CHECKS[code].hint), code, "exec")


def test_another_size_becomes_the_wanted_one(tmp_path):
    contest = Contest("one", {"01": ("Sun",)}, size=(12, 8))
    write_files(tmp_path, {SUN: png()})
    assert cure_all(tmp_path, contest) == ["S204"]
    write_files(tmp_path, {SUN: png(size=(8, 12))})
    assert "draw it again at 12x8" in check(tmp_path, contest)[0].hint


def as_format(kind, **options):
    stream = io.BytesIO()
    Image.open(io.BytesIO(png(size=(16, 8)))).save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (as_format("JPEG", quality=95), "a JPEG"),
        (as_format("JPEG", quality=95, exif=exif(6)), "a JPEG"),
        (as_format("GIF"), "a GIF"),
        (as_format("BMP"), "a BMP"),
        (as_format("WEBP", lossless=True), "a WebP"),
        (base64.b64encode(as_format("PNG")), "a picture as base64 text"),
        (b"data:image/png;base64," + base64.b64encode(as_format("PNG")), "a picture as base64 text"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + as_format("PNG"), "a PNG behind 19 other bytes"),
    ],
)
def test_other_formats_become_png(data, what, tmp_path):
    write_files(tmp_path, {SUN: data})
    before = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    (one,) = check(tmp_path, ONE)
    assert (one.code, one.message) == ("S201", f"is {what}")
    assert cure_all(tmp_path) == ["S201"]
    if before is not None:  # OpenCV turns a JPEG by its EXIF, too
        np.testing.assert_allclose(shown(tmp_path / SUN), before[..., ::-1].astype(float), atol=3)


def moved(old, new):
    return lambda files: files.update({new: files.pop(old)})


def added(name, data=b"x"):
    return lambda files: files.update({name: data})


COPIES = """
Sun.png.png|Sun.PNG.png|Sun.jpg.png|Sun.png.txt|Sun|Sun (1).png|Sun（1）.png|Sun [1].png|Sun.png (1).png|Sun_1.png
Sun_00001_.png|Copy of Sun.png|Sun - Copy.png|Sun - Copy (2).png|Sun - Copy - Copy.png|Sun copy.png|Sun copy 2.png
sun copy.png|Sun (copy).png|Sun (another copy).png|Sun - 副本.png|Sun - 副本 (2).png|Sun 的副本.png|Sun副本.png
Sun のコピー.png|Sun - コピー.png|Kopie von Sun.png|Sun - Kopie.png|Copie de Sun.png|Sun – копия.png
"""


@pytest.mark.parametrize("name", COPIES.strip().replace("\n", "|").split("|"))
def test_copies_names_are_one_finding_that_says_the_name(name, tmp_path):
    files = good_files()
    files[f"01/{name}"] = files.pop(SUN)
    (one,) = check(write_files(tmp_path, files), CONTEST)
    assert (one.code, one.path, one.message) == ("S105", f"01/{name}", "should be Sun.png")


def test_copy_beside_the_right_one_is_to_be_kept_or_not(tmp_path):
    write_files(tmp_path, {**good_files(), "01/Sun (1).png": png(seed=8), "01 - Copy/Sun.png": png(seed=9)})
    assert [(one.code, one.path) for one in check(tmp_path, CONTEST)] == [
        ("S109", "01 - Copy/"),
        ("S109", "01/Sun (1).png"),
    ]


@pytest.mark.parametrize("name", ["01 (1)", "Copy of 01", "01 - 副本", "01 copy"])
def test_copied_style_folder(name, tmp_path):
    files = good_files()
    files[f"{name}/Sun.png"] = files.pop(SUN)
    (one,) = check(write_files(tmp_path, files), CONTEST)
    assert (one.code, one.message) == ("S105", "should be 01/")


def test_prompts_that_end_in_numbers_are_told_apart(tmp_path):
    contest = Contest("roads", {"00": ("Route 66", "Route 67")})
    write_files(tmp_path, {"00/Route 66 (1).png": png(seed=1), "00/Route 67.png": png(seed=2)})
    assert [one.message for one in check(tmp_path, contest)] == ["should be Route 66.png"]


NAME_CASES = {
    "S103": added("00/Moon.png", png(seed=9)),
    "S104": moved(SUN, "01/sun.PNG"),
    "S105": moved(SUN, "01/Sun (1).png"),
    "S106": added("07/Cat.png", png(seed=9)),
    "S107": added("notes.txt"),
    "S108": added("@eaDir/x"),
    "S109": added("01/Sun copy.png", png(seed=9)),
    "S110": lambda files: [files.update({f"out/{name}": files.pop(name)}) for name in [*files]],
    "S111": moved(SUN, "01/Sun\u200b.png"),
    "S112": moved("00/Ice cream.png", "00/Ice\u00a0cream.png"),
    "S113": added("01/sun.png", png(seed=9)),
}


@pytest.mark.parametrize("code", sorted(NAME_CASES))
def test_names_are_cured_by_what_is_said(code, tmp_path):
    files = good_files()
    NAME_CASES[code](files)
    write_files(tmp_path, files)
    (one,) = check(tmp_path, CONTEST)
    assert one.code == code
    path = tmp_path / one.path
    if "rename" in one.hint:
        path.rename(path.with_name(one.message.split("should be ")[1].split(",")[0].split(" in Unicode")[0]))
    elif "at the top" in one.hint:
        for inside in [*path.iterdir()]:
            inside.rename(tmp_path / inside.name)
        path.rmdir()
    else:
        assert one.hint.startswith(("remove it", "keep one"))
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert check(tmp_path, CONTEST) == []


@pytest.mark.parametrize(
    ("beside", "code"),
    [
        ("README.md", "S107"),
        ("docs/a.txt", "S106"),
        ("a/b/c.txt", "S106"),
        ("@eaDir/x.png", "S108"),
        ("__MACOSX/00/._a", "S108"),
        (".DS_Store", "S108"),
    ],
)
def test_entry_is_found_whatever_lies_beside_its_folder(beside, code, tmp_path):
    files = {f"entry/{name}": data for name, data in good_files().items()}
    write_files(tmp_path / "w", {**files, beside: b"x"})
    folder = check(tmp_path / "w", CONTEST)
    assert sorted(one.code for one in folder) == sorted(["S110", code])
    shutil.make_archive(str(tmp_path / "w"), "zip", tmp_path / "w")
    assert {one.code for one in check(tmp_path / "w.zip", CONTEST)} == {one.code for one in folder}


def test_two_entries_in_one_folder_are_not_to_be_removed(tmp_path):
    write_files(tmp_path, {f"{top}/{name}": data for top in ("a", "b") for name, data in good_files().items()})
    hints = {one.hint for one in check(tmp_path, CONTEST) if one.code == "S106"}
    assert hints == {"keep one of these folders, and put what is inside it at the top"}


def submit(command, folder, contest):
    """A command that a hint prints, with the folder and the contest that it is about."""
    words = [str(folder) if word == "FOLDER" else word for word in shlex.split(command.split(" (")[0])]
    assert words[0] == "jdart-submit"
    call = [sys.executable, "-c", "from submission.cli import main; main()", *words[1:], "--contest", str(contest)]
    done = subprocess.run(call, cwd=folder.parent, capture_output=True, text=True, check=False, env={**os.environ})
    assert done.returncode == 0, done.stderr + done.stdout


@pytest.fixture
def contest_file(tmp_path):
    path = tmp_path / "tiny.yaml"
    styles = {style: list(prompts) for style, prompts in CONTEST.styles.items()}
    path.write_text(json.dumps({"name": "tiny", "references": 3, "styles": styles}))
    return path


def test_archives_are_cured_by_building_the_folder_anew(tmp_path, contest_file):
    """One command cures every archive of the pictures; each code that says so is found, and gone afterwards."""
    folder = write_files(tmp_path / "entry", good_files())
    anew = {}
    for make, _ in ARCHIVES.values():
        (tmp_path / "entry.zip").write_bytes(make())
        for one in check(tmp_path / "entry.zip", CONTEST):
            anew.setdefault(one.code, set()).add(one.hint)
    assert set(anew) >= ARCHIVED
    commands = {code_of(hint) for code in ARCHIVED for hint in anew[code] if "jdart-submit" in hint}
    assert commands
    for number, command in enumerate({command[command.index("jdart-submit") :].split(" (")[0] for command in commands}):
        (tmp_path / str(number)).mkdir()
        here = shutil.copytree(folder, tmp_path / str(number) / "entry")
        submit(command, here, contest_file)
        assert verify(tmp_path / str(number) / "entry.zip", CONTEST) == []


@pytest.mark.skipif(shutil.which("zip") is None, reason="needs zip")
def test_names_that_zip_does_not_mark_are_not_called_missing(tmp_path, contest_file):
    contest = Contest("named", {"00": ("\u732b", "caf\u00e9")})
    folder = write_files(
        tmp_path / "zh", {f"00/{name}.png": png(seed=n) for n, name in enumerate(contest.styles["00"])}
    )
    subprocess.run(["zip", "-qr", "../zh.zip", "00"], cwd=folder, check=True)
    findings = check(tmp_path / "zh.zip", contest)
    if findings:  # a zip with its Unicode field off
        assert {one.code for one in findings} == {"S403"}
        assert {one.path for one in findings} == {"00/\u732b.png", "00/caf\u00e9.png"}
        assert all("jdart-submit build FOLDER" in one.hint and "7-Zip" in one.hint for one in findings)
    with zipfile.ZipFile(tmp_path / "python.zip", "w") as made:
        for path in folder.rglob("*.png"):
            made.write(path, path.relative_to(folder))
    assert check(tmp_path / "python.zip", contest) == []


def zipped(*names):
    from hostile_zips import Entry

    return archive([Entry(name, png(seed=number)) for number, name in enumerate(names)])


@pytest.mark.parametrize(
    ("names", "said", "hint"),
    [
        ((b"./00/Dolphin.png", b"./00/Ice cream.png", b"./01/Sun.png"), "begins with the part .", "instead of ."),
        ((b"00\\Dolphin.png", b"00\\Ice cream.png", b"01\\Sun.png"), "has \\ between folders", "is at fault"),
        (("00/小猫咪.png".encode("gbk"), b"00/Ice cream.png", b"01/Sun.png"), "in a code page", "7-Zip"),
    ],
)
def test_what_other_tools_make_of_names_is_said_as_it_is(names, said, hint, tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped(*names))
    findings = check(tmp_path / "a.zip", CONTEST)
    assert {one.code for one in findings} == {"S403"}
    assert all(said in one.message and hint in one.hint for one in findings)


def test_zeros_of_a_pipe_are_told_from_other_bytes(tmp_path):
    hints = []
    for after in (bytes(6339), b"more"):
        (tmp_path / "a.zip").write_bytes(archive(after=after))
        (one,) = check(tmp_path / "a.zip", CONTEST)
        assert one.code == "S413"
        hints.append((one.message, one.hint))
    assert hints[0][0] == "has 6339 zeros after its end"
    assert "bsdtar -a -cf entry.zip" in hints[0][1]
    assert hints[1] == ("has 4 bytes after its end", CHECKS["S413"].hint)


def test_unicode_field_is_named(tmp_path):
    (tmp_path / "a.zip").write_bytes(ARCHIVES["second name"][0]())
    (one,) = check(tmp_path / "a.zip", CONTEST)
    assert one.message == "has another name in its field for Unicode names (0x7075)"


@pytest.mark.parametrize("code", sorted(BUILT))
def test_manifests_are_cured_by_building_again(code, tmp_path, contest_file):
    folder = write_files(tmp_path / "entry", good_files())
    path = tmp_path / "entry.zip"
    build(folder, CONTEST, path)
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    if code == "S301":
        files.pop("manifest.json")
    elif code == "S302":
        files["manifest.json"] = b"{"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    (one,) = errors(verify(path, CONTEST))
    assert one.code == code
    submit(code_of(one.hint), folder, contest_file)
    assert verify(path, CONTEST) == []
