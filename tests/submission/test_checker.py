"""One row for each way an entry can be wrong: what is changed, and the codes and paths that are found."""

import io
import json
import os
import unicodedata
import zipfile

import pytest
import tiny_entry
from PIL import Image, ImageCms, PngImagePlugin
from tiny_entry import CONTEST, chunk, good_files, write_files

from contest.definition import Limits
from contest.findings import CHECKS
from submission import Contest, check

DOLPHIN, ICE, SUN = "00/Dolphin.png", "00/Ice cream.png", "01/Sun.png"


def png(**options):
    """A picture that is in no good entry."""
    return tiny_entry.png(**{"seed": 7, **options})


def without(*names):
    return lambda files: [files.pop(name) for name in names]


def renamed(old, new):
    return lambda files: files.update({new: files.pop(old)})


def added(name, data=b"x"):
    return lambda files: files.update({name: data})


def cut(data):
    return data[: data.index(b"IDAT") + 20]


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return png(exif=tags)


def with_chunk(data, kind, content):
    return data[:33] + chunk(kind, content) + data[33:]


def header_says(width):
    whole = png()
    return whole[:8] + chunk(b"IHDR", width.to_bytes(4, "big") + whole[20:29]) + whole[33:]


def saved(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def animated():
    frames = [Image.open(io.BytesIO(png(seed=seed))) for seed in (7, 8)]
    return saved(frames[0], save_all=True, append_images=frames[1:])


def profile(space):
    return png(icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile(space)).tobytes())


def noted(keyword, text, way="add_text", seed=7, **options):
    notes = PngImagePlugin.PngInfo()
    getattr(notes, way)(keyword, text, **options)
    return png(pnginfo=notes, seed=seed)


def blank(colour, spread=0):
    image = Image.new("RGB", (6, 4), colour)
    image.putpixel((1, 1), tuple(value + spread for value in colour))
    return saved(image)


def gamma(value):
    return with_chunk(png(), b"gAMA", value.to_bytes(4, "big"))


DRAWN_FOR_SUN = json.dumps({"prompt": "a sun in style_01", "seed": 1})
DRAWN_FOR_ICE = json.dumps({"prompt": "ice_cream in style_00", "seed": 1})
FINISHED = json.dumps({"prompt": "ice cream", "colour": {"finish": {"strength": 1.0}}})
CHANGED = "a sun\nSteps: 20, Post-processing: colour finish 0.5, Version: jdart 1.0"
GRAPH = json.dumps({"6": {"inputs": {"text": "one dolphin, drawn"}}})

CASES = {
    "good": (lambda files: None, []),
    "missing style": (without(SUN), [("S101", "01/")]),
    "missing picture": (without(DOLPHIN), [("S102", DOLPHIN)]),
    "two missing": (without(DOLPHIN, SUN), [("S102", DOLPHIN), ("S101", "01/")]),
    "extra picture": (added("00/Cat.png", png()), [("S103", "00/Cat.png")]),
    "extra jpeg": (added("00/Cat.jpg", b"\xff\xd8\xff"), [("S103", "00/Cat.jpg"), ("S201", "00/Cat.jpg")]),
    "case": (renamed(DOLPHIN, "00/dolphin.png"), [("S104", "00/dolphin.png")]),
    "case of ending": (renamed(DOLPHIN, "00/Dolphin.PNG"), [("S104", "00/Dolphin.PNG")]),
    "underscore": (renamed(ICE, "00/Ice_cream.png"), [("S105", "00/Ice_cream.png")]),
    "underscore and case": (renamed(ICE, "00/ice_cream.png"), [("S105", "00/ice_cream.png")]),
    "spaces": (renamed(ICE, "00/Ice  cream .png"), [("S105", "00/Ice  cream .png")]),
    "ending": (renamed(SUN, "01/Sun.jpg"), [("S105", "01/Sun.jpg")]),
    "style without zero": (renamed(SUN, "1/Sun.png"), [("S105", "1/")]),
    "unknown style": (added("07/Cat.png", png()), [("S106", "07/")]),
    "folder in style": (added("01/more/Sun.png", png()), [("S106", "01/more/")]),
    "stray file": (added("notes.txt"), [("S107", "notes.txt")]),
    "stray file in style": (added("00/notes.txt"), [("S107", "00/notes.txt")]),
    "mac": (added("00/.DS_Store"), [("S108", "00/.DS_Store")]),
    "windows": (added("00/Thumbs.db"), [("S108", "00/Thumbs.db")]),
    "resource fork": (added("00/._Dolphin.png"), [("S108", "00/._Dolphin.png")]),
    "notebook": (added("00/.ipynb_checkpoints/a.png"), [("S108", "00/.ipynb_checkpoints/")]),
    "mac folder": (added("__MACOSX/00/a.png"), [("S108", "__MACOSX/")]),
    "both spellings": (added("00/ice_cream.png", png()), [("S109", "00/ice_cream.png")]),
    "two near misses": (
        lambda files: (renamed(ICE, "00/Ice_cream.png")(files), added("00/ICE CREAM.png", png())(files)),
        [("S104", "00/ICE CREAM.png"), ("S109", "00/Ice_cream.png")],
    ),
    "case collision": (added("00/dolphin.png", png()), [("S113", "00/dolphin.png")]),
    "case collision of near misses": (
        lambda files: (renamed(ICE, "00/Ice_cream.png")(files), added("00/Ice_Cream.png", png())(files)),
        [("S105", "00/Ice_Cream.png"), ("S113", "00/Ice_cream.png")],
    ),
    "second spelling of a style": (added("1/Sun.png", png()), [("S109", "1/")]),
    "cyrillic letter": (renamed(DOLPHIN, "00/D\u043elphin.png"), [("S111", "00/D\u043elphin.png")]),
    "greek capital": (renamed(ICE, "00/\u0399ce cream.png"), [("S111", "00/\u0399ce cream.png")]),
    "invisible character": (renamed(DOLPHIN, "00/Dol\u200bphin.png"), [("S111", "00/Dol\u200bphin.png")]),
    "look-alike beside the right one": (added("00/D\u043elphin.png", png()), [("S109", "00/D\u043elphin.png")]),
    "no-break space": (renamed(ICE, "00/Ice\u00a0cream.png"), [("S112", "00/Ice\u00a0cream.png")]),
    "full-width style": (renamed(SUN, "\uff10\uff11/Sun.png"), [("S112", "\uff10\uff11/")]),
    "digits without end": (added("1" * 200 + "/x.png", png()), [("S106", "1" * 200 + "/")]),
    "recycle bin": (added("$RECYCLE.BIN/x.png", png()), [("S108", "$RECYCLE.BIN/")]),
    "tiff": (
        lambda files: (without(SUN)(files), added("01/Sun.tiff", b"II*\0")(files)),
        [("S105", "01/Sun.tiff"), ("S201", "01/Sun.tiff")],
    ),
    "manifest": (added("manifest.json", b"{}"), []),
    "empty": (added(SUN, b""), [("S201", SUN)]),
    "jpeg inside": (added(SUN, b"\xff\xd8\xff\xe0"), [("S201", SUN)]),
    "alpha": (added(SUN, png(mode="RGBA")), [("S202", SUN)]),
    "palette": (added(SUN, png(mode="P")), [("S202", SUN)]),
    "grey": (added(SUN, png(mode="L")), [("S202", SUN)]),
    "grey alpha": (added(SUN, png(mode="LA")), [("S202", SUN)]),
    "16 bit": (added(SUN, png(mode="I;16")), [("S202", SUN)]),
    "one bit": (added(SUN, png(mode="1")), [("S202", SUN)]),
    "transparent colour": (added(SUN, with_chunk(png(), b"tRNS", bytes(6))), [("S202", SUN)]),
    "cut short": (added(SUN, cut(png())), [("S203", SUN)]),
    "without end": (added(SUN, png()[:-12]), [("S203", SUN)]),
    "bad crc": (added(SUN, png()[:-1] + b"x"), [("S203", SUN)]),
    "no pixels": (added(SUN, header_says(0)), [("S203", SUN)]),
    "fewer rows than said": (added(SUN, header_says(7)), [("S203", SUN), ("S204", SUN)]),
    "no header": (added(SUN, png()[:8] + png()[33:]), [("S203", SUN)]),
    "size": (added(SUN, png(size=(4, 6))), [("S204", SUN)]),
    "exif": (added(SUN, exif(6)), [("S205", SUN)]),
    "exif upright": (added(SUN, exif(1)), []),
    "exif broken": (added(SUN, with_chunk(png(), b"eXIf", b"II*\0\xff\xff\xff\xff")), []),
    "tail": (added(SUN, png() + b"more"), [("S206", SUN)]),
    "huge": (added(SUN, header_says(5000)), [("S207", SUN)]),
    "animated": (added(SUN, animated()), [("S208", SUN)]),
    "sRGB profile": (added(SUN, profile("sRGB")), []),
    "other profile": (added(SUN, profile("XYZ")), [("S209", SUN)]),
    "damaged profile": (added(SUN, with_chunk(png(), b"iCCP", b"mine\0\0damaged")), [("S209", SUN)]),
    "sRGB gamma": (added(SUN, gamma(45455)), []),
    "linear gamma": (added(SUN, gamma(100000)), [("S209", SUN)]),
    "primaries": (added(SUN, with_chunk(png(), b"cHRM", bytes(32))), [("S209", SUN)]),
    "sRGB said beside a gamma": (added(SUN, with_chunk(gamma(45000), b"sRGB", b"\0")), []),
    "code points": (added(SUN, with_chunk(png(), b"cICP", bytes((9, 16, 0, 1)))), [("S209", SUN)]),
    "black": (added(SUN, blank((0, 0, 0))), [("S210", SUN)]),
    "blank but for noise": (added(SUN, blank((200, 9, 30), 2)), [("S210", SUN)]),
    "faint but there": (added(SUN, blank((200, 9, 30), 3)), []),
    "two blank ones": (
        lambda files: files.update({ICE: blank((0, 0, 0)), SUN: blank((0, 0, 0))}),
        [("S210", ICE), ("S210", SUN)],
    ),
    "same picture in a style": (
        lambda files: files.update({DOLPHIN: png(), ICE: png(compress_level=0)}),
        [("S211", ICE)],
    ),
    "same picture in two styles": (lambda files: files.update({DOLPHIN: png(), SUN: png()}), [("S211", SUN)]),
    "drawn for another": (added(DOLPHIN, noted("jdart", DRAWN_FOR_ICE)), [("S213", DOLPHIN)]),
    "drawn for another style's": (added(ICE, noted("jdart", DRAWN_FOR_SUN)), [("S213", ICE)]),
    "drawn for it": (added(ICE, noted("jdart", DRAWN_FOR_ICE)), []),
    "other tool": (added(ICE, noted("parameters", "a dolphin\nSteps: 20")), [("S213", ICE)]),
    "other tool, packed": (added(ICE, noted("Description", "a dolphin", zip=True)), [("S213", ICE)]),
    "other tool, Unicode": (added(ICE, noted("prompt", GRAPH, "add_itxt", zip=True)), [("S213", ICE)]),
    "not to be drawn": (added(ICE, noted("parameters", "sweet\nNegative prompt: dolphin")), []),
    "word that holds another": (added(ICE, noted("parameters", "sunny day")), []),
    "damaged note": (added(ICE, with_chunk(png(), b"iTXt", b"prompt\0\1")), []),
    "finished": (added(ICE, noted("jdart", FINISHED)), [("S216", ".")]),
    "two finished": (
        lambda files: files.update({ICE: noted("jdart", FINISHED), SUN: noted("parameters", CHANGED, seed=8)}),
        [("S216", ".")],
    ),
    "not finished": (added(ICE, noted("jdart", FINISHED.replace("finish", "transport"))), []),
    "speaks of it in the prompt": (added(SUN, noted("parameters", "a sun, Post-processing: 1")), []),
    "large text": (added(SUN, noted("prompt", "x" * (1 << 21), zip=True)), [("S214", SUN)]),
    "large profile": (added(SUN, png(icc_profile=bytes(1 << 21))), [("S214", SUN)]),
    "two faults in one": (
        added(SUN, png(mode="RGBA", size=(9, 9)) + b"x"),
        [(c, SUN) for c in ("S202", "S204", "S206")],
    ),
}


def found(findings):
    return sorted((one.code, one.path) for one in findings)


@pytest.mark.parametrize("name", CASES)
def test_folder_and_zip_give_the_same_findings(name, tmp_path):
    change, expected = CASES[name]
    files = good_files()
    change(files)
    folder = write_files(tmp_path / "entry", files)
    with zipfile.ZipFile(tmp_path / "entry.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    findings = check(folder, CONTEST)
    assert found(findings) == sorted(expected)
    assert check(tmp_path / "entry.zip", CONTEST) == findings
    assert all(one.message and one.hint for one in findings)


def test_every_code_of_the_rules_has_a_row():
    rows = {code for _, expected in CASES.values() for code, _ in expected}
    assert {code for code in CHECKS if code < "S3"} - rows == {"S110", "S212", "S215"}  # their own tests


@pytest.mark.parametrize("kind", ["tiny", "several blocks"])
def test_png_cut_at_any_byte_is_found(kind, tmp_path):
    whole = png(size=(3, 3) if kind == "tiny" else (60, 40))
    step = 1 if kind == "tiny" else 97
    contest = Contest("one", {"01": ("Sun",)})
    for end in range(0, len(whole), step):
        write_files(tmp_path, {SUN: whole[:end]})
        codes = [one.code for one in check(tmp_path, contest)]
        assert codes in (["S201"], ["S203"]), end


def test_warnings_are_what_a_person_must_judge():
    warnings = {code for code, one in CHECKS.items() if one.severity == "warning"}
    assert warnings >= {"S209", "S212", "S213", "S216", "S510"}
    assert {one.severity for one in CHECKS.values()} == {"error", "warning"}


NAMED = Contest("named", {"Ink": ("Caf\u00e9", "\u0414\u043e\u043c")})


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["Ink/Caf\u00e9.png", "Ink/\u0414\u043e\u043c.png"], []),
        (["Ink/" + unicodedata.normalize("NFD", "Caf\u00e9.png"), "Ink/\u0414\u043e\u043c.png"], ["S112"]),
        (["Ink/CAF\u00c9.png", "Ink/\u0434\u041e\u043c.png"], ["S104", "S104"]),
        (["Ink/Caf\u00e9.png", "Ink/\u0414o\u043c.png"], ["S111"]),  # a Latin o where a Cyrillic one belongs
        (["ink/Caf\u00e9.png", "ink/\u0414\u043e\u043c.png"], ["S104"]),
        (["Ink/Caf\u00e9.png", "Ink/\u0414\u043e\u043c.png", "ink/Caf\u00e9.png"], ["S113"]),
    ],
)
def test_names_that_are_not_ascii(names, expected, tmp_path):
    files = {name: png(seed=seed) for seed, name in enumerate(names)}
    findings = check(write_files(tmp_path, files), NAMED)
    assert [one.code for one in findings] == expected
    assert all("U+" in one.message for one in findings if one.code == "S111")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"size": (6, 4)}, []),
        ({"size": (5, 5)}, [("S204", DOLPHIN), ("S204", ICE), ("S204", SUN)]),
        ({"limits": Limits(side=5)}, [("S207", DOLPHIN), ("S207", ICE), ("S207", SUN)]),
        ({"limits": Limits(file_bytes=len(good_files()[SUN]) - 1)}, [("S207", DOLPHIN), ("S207", ICE), ("S207", SUN)]),
        ({"limits": Limits(files=2)}, [("S409", ".")]),
    ],
)
def test_limits_come_from_the_contest(settings, expected, entry):
    assert found(check(entry, Contest("small", CONTEST.styles, **settings))) == expected


def test_copy_of_a_reference_is_a_warning(entry, tmp_path):
    drawn = Image.open(io.BytesIO(png(size=(16, 16)))).resize((64, 64), Image.Resampling.BICUBIC)
    for name, size in ((DOLPHIN, (64, 64)), (ICE, (48, 48)), (SUN, (64, 64))):
        image = Image.open(io.BytesIO(png(size=(8, 8), seed=len(name)))) if name == ICE else drawn
        image = image.resize(size).resize((64, 64))
        image.putpixel((0, 0), (1, len(name), 3))  # not the very same pixels
        image.save(entry / name)
    references = tmp_path / "refs"
    (references / "00" / "images").mkdir(parents=True)
    drawn.save(references / "00" / "images" / "boat.jpg", quality=60)
    (references / "01" / "images").mkdir(parents=True)
    Image.open(io.BytesIO(png(size=(8, 8), seed=99))).save(references / "01" / "images" / "other.png")
    findings = check(entry, CONTEST, references)
    assert [(one.code, one.path, one.severity) for one in findings] == [("S212", DOLPHIN, "warning")]
    assert "boat.jpg" in findings[0].message
    assert check(entry, CONTEST) == []


def test_wrapped_entry_is_seen_through(tmp_path):
    files = good_files()
    del files[ICE]
    write_files(tmp_path / "wrapped", {f"upload/{path}": data for path, data in files.items()})
    findings = check(tmp_path / "wrapped", CONTEST)
    assert found(findings) == [("S102", ICE), ("S110", "upload/")]
    assert str(findings[0]) == f"S102 {ICE} is not there"


def test_entry_wrapped_twice_is_seen_through(tmp_path):
    write_files(tmp_path / "a", {f"outputs/images/{path}": data for path, data in good_files().items()})
    assert found(check(tmp_path / "a", CONTEST)) == [("S110", "outputs/images/")]


def test_same_name_twice_in_a_zip(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        for path, data in [*good_files().items(), (SUN, png())]:
            archive.writestr(path, data)
    assert found(check(tmp_path / "a.zip", CONTEST)) == [("S109", SUN)]


def test_things_that_are_no_files(entry):
    os.mkfifo(entry / "00" / "pipe.png")  # reading it would hang
    (entry / "01" / "gone.png").symlink_to("nowhere")
    (entry / "loop").symlink_to(entry)
    (entry / "02").mkdir()
    assert found(check(entry, CONTEST)) == [
        ("S106", "02/"),
        ("S106", "loop/"),
        ("S107", "00/pipe.png"),
        ("S107", "01/gone.png"),
    ]


def test_link_without_its_file_is_not_called_missing(entry):
    (entry / SUN).unlink()
    (entry / SUN).symlink_to("gone")
    (one,) = check(entry, CONTEST)
    assert (one.code, one.path, one.message) == ("S107", SUN, "is a link that leads nowhere")
    assert "git annex get" in one.hint


def test_one_style_folder_in_place_of_all_is_not_to_be_emptied(entry):
    strays = [one for one in check(entry / "00", CONTEST) if one.code == "S107"]
    assert len(strays) == 2
    assert all(one.hint.startswith("put it into the folder of its style") for one in strays)


def test_pictures_may_be_links(entry, tmp_path):
    for name in (DOLPHIN, SUN):
        (entry / name).rename(tmp_path / name.replace("/", "-"))
        (entry / name).symlink_to(tmp_path / name.replace("/", "-"))
    assert check(entry, CONTEST) == []


def test_linked_style_folder_is_followed(entry, tmp_path):
    (entry / "01").rename(tmp_path / "elsewhere")
    (entry / "01").symlink_to(tmp_path / "elsewhere")
    assert check(entry, CONTEST) == []


def test_undecodable_file_name_is_a_finding(entry):
    try:
        (entry / "00" / os.fsdecode(b"caf\xe9.png")).write_bytes(png())
    except OSError:
        pytest.skip("this file system refuses such names")
    assert found(check(entry, CONTEST)) == [("S103", "00/caf\\xe9.png")]


def test_zip_entry_that_says_it_is_too_large_is_not_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path, data in good_files().items():
            archive.writestr(path, data)
        archive.writestr("00/Moon.png", bytes(3000))
    contest = Contest("small", CONTEST.styles, limits=Limits(file_bytes=2000))
    codes = {one.code for one in check(tmp_path / "a.zip", contest) if one.path == "00/Moon.png"}
    assert "S103" in codes and codes & {"S207", "S409"}
