"""One row for each way an entry can be wrong: what is changed, and the codes and paths that are found."""

import os
import zipfile

import pytest
from PIL import Image
from tiny_entry import CONTEST, chunk, good_files, png, write_files

from submission import UserError, check
from submission.checks import CHECKS

DOLPHIN, ICE, SUN = "00/Dolphin.png", "00/Ice cream.png", "01/Sun.png"


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
    assert {code for code in CHECKS if code < "S3"} - rows == {"S110"}  # its own test below


@pytest.mark.parametrize("kind", ["png", "RGB noise"])
def test_png_cut_at_any_byte_is_found(kind, tmp_path):
    whole = png(size=(3, 3)) if kind == "png" else png(size=(60, 40))
    step = 1 if kind == "png" else 97
    folder = write_files(tmp_path, dict.fromkeys((DOLPHIN, ICE, SUN), whole))
    for end in range(0, len(whole), step):
        (folder / SUN).write_bytes(whole[:end])
        codes = [one.code for one in check(folder, CONTEST)]
        assert codes in (["S201"], ["S203"]), end


def test_wrapped_entry_is_seen_through(tmp_path):
    files = good_files()
    del files[ICE]
    write_files(tmp_path / "wrapped", {f"upload/{path}": data for path, data in files.items()})
    findings = check(tmp_path / "wrapped", CONTEST)
    assert found(findings) == [("S102", ICE), ("S110", "upload/")]
    assert str(findings[0]) == f"S102 {ICE} is not there"


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


@pytest.mark.parametrize(
    "name", ["../00/Dolphin.png", "/00/Dolphin.png", "00/../../x.png", "00\\Dolphin.png", "C:/x.png"]
)
def test_zip_names_that_lead_out_are_refused(name, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(name, png())
    with pytest.raises(UserError, match=r"a\.zip"):
        check(tmp_path / "a.zip", CONTEST)


def test_zip_entry_that_unpacks_to_too_much_is_not_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in good_files().items():
            archive.writestr(path, data)
        archive.writestr(SUN.replace("Sun", "Moon"), bytes(65 << 20))
    assert found(check(tmp_path / "a.zip", CONTEST)) == [("S103", "01/Moon.png"), ("S207", "01/Moon.png")]


@pytest.mark.parametrize("data", [b"", b"PK\3\4 not really", b"PK\5\6" + b"\xff" * 18, b"plain text"])
def test_broken_zip_is_one_line(data, tmp_path):
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(UserError, match=r"a\.zip") as caught:
        check(tmp_path / "a.zip", CONTEST)
    assert "\n" not in str(caught.value)
