"""check -> build -> verify, against zipfile and unzip as independent readers."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from tiny_entry import CONTEST, NAMES, good_files, png, write_files
from tiny_run import run_folder

from submission import UserError, build, check, load_contest, verify
from submission.packing.archive import pack


def test_round_trip(entry, tmp_path):
    out = tmp_path / "entry.zip"
    result = build(entry, CONTEST, out)
    assert (result.path, result.state, result.findings) == (out, "written", ())
    assert result.sha256 == hashlib.sha256(out.read_bytes()).hexdigest()
    assert result.size == out.stat().st_size
    assert check(out, CONTEST) == verify(out, CONTEST) == []


def test_zipfile_reads_what_pack_wrote(entry, tmp_path):
    build(entry, CONTEST, tmp_path / "entry.zip")
    with zipfile.ZipFile(tmp_path / "entry.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [*NAMES, "manifest.json"]
        for info in archive.infolist():
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            assert (info.compress_type, info.create_system) == (zipfile.ZIP_STORED, 3)
            assert info.external_attr >> 16 == 0o100644
        for name in NAMES:
            assert archive.read(name) == (entry / name).read_bytes()
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest == {
        "schema_version": 1,
        "tool": manifest["tool"],
        "contest": {"name": "tiny", "styles": {"00": 2, "01": 1}, "version": "1"},
        "files": {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
            for name, data in good_files().items()
        },
        "run": None,
        "commit": None,
        "score": None,
    }
    assert manifest["tool"].startswith("jdart ")


def test_pack_is_what_zipfile_writes_with_the_same_choices():
    files = {"b/ü.txt": b"two", "a.txt": b"one", "empty": b""}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o100644 << 16
            archive.writestr(info, files[name])
    assert b"".join(pack({name: lambda name=name: files[name] for name in files})) == stream.getvalue()


@pytest.mark.skipif(shutil.which("unzip") is None, reason="needs unzip")
def test_unzip_accepts_it(entry, tmp_path):
    build(entry, CONTEST, tmp_path / "entry.zip")
    done = subprocess.run(["unzip", "-t", tmp_path / "entry.zip"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_same_bytes_whatever_the_clock_umask_zone_or_order(tmp_path):
    program = (
        "import os, sys; os.umask(int(sys.argv[3], 8));"
        "from submission import Contest, build;"
        "build(sys.argv[1], Contest('tiny', {'00': ('Dolphin', 'Ice cream'), '01': ('Sun',)}), sys.argv[2])"
    )
    archives = set()
    for number, (umask, zone, when) in enumerate([("022", "UTC", 0), ("077", "Asia/Shanghai", 2_000_000_000)]):
        files = good_files()
        folder = write_files(tmp_path / str(number), dict(sorted(files.items(), reverse=bool(number))))
        for name in files:
            os.utime(folder / name, (when, when))
            (folder / name).chmod(0o600 if number else 0o755)
        out = tmp_path / f"{number}.zip"
        environment = {**os.environ, "TZ": zone, "PYTHONHASHSEED": str(number)}
        subprocess.run([sys.executable, "-c", program, folder, out, umask], env=environment, check=True)
        archives.add(out.read_bytes())
    assert len(archives) == 1


def test_no_byte_can_be_flipped(tmp_path):
    from submission import Contest

    contest = Contest("t", {"0": ("A",)})
    folder = write_files(tmp_path / "entry", {"0/A.png": png(size=(2, 1))})
    out = tmp_path / "entry.zip"
    assert build(folder, contest, out).state == "written"
    whole = out.read_bytes()
    for at in range(len(whole)):
        out.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])
        try:
            assert verify(out, contest), f"byte {at} of {len(whole)}"
        except UserError as error:
            assert str(out) in str(error) and "\n" not in str(error)
    for data in (whole[:-1], whole + b"\0", b"\0" + whole):
        out.write_bytes(data)
        with pytest.raises((UserError, AssertionError)):
            assert verify(out, contest) == []


def test_refused_build_leaves_nothing(entry, tmp_path):
    (entry / NAMES[0]).unlink()
    result = build(entry, CONTEST, tmp_path / "out" / "entry.zip")
    assert (result.state, [one.code for one in result.findings]) == ("refused", ["S102"])
    assert not (tmp_path / "out").exists()


def test_another_archive_is_replaced_only_by_force(entry, tmp_path):
    out = tmp_path / "entry.zip"
    out.write_bytes(b"mine")
    with pytest.raises(UserError, match="--force"):
        build(entry, CONTEST, out)
    assert out.read_bytes() == b"mine"
    assert build(entry, CONTEST, out, force=True).state == "written"
    before = out.stat().st_mtime_ns
    assert build(entry, CONTEST, out).state == "up to date"
    assert out.stat().st_mtime_ns == before


@pytest.mark.parametrize("links", [True, False])
def test_archive_that_another_process_writes_meanwhile_is_kept(entry, tmp_path, monkeypatch, links):
    import submission.packing.build as module

    out = tmp_path / "new" / "entry.zip"

    def pack_slowly(files):
        pieces = list(pack(files))
        yield pieces[0]
        out.write_bytes(b"theirs")
        yield from pieces[1:]

    def no_links(source, target):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(module, "pack", pack_slowly)
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(UserError, match="is there already and differs; --force"):
        build(entry, CONTEST, out)
    assert out.read_bytes() == b"theirs"
    assert list(out.parent.iterdir()) == [out], "nothing half written is left"
    monkeypatch.setattr(module, "pack", pack)
    out.unlink()
    assert build(entry, CONTEST, out).state == "written"
    assert list(out.parent.iterdir()) == [out]


def test_archive_among_its_own_pictures_is_refused(entry):
    with pytest.raises(UserError, match="among the pictures"):
        build(entry, CONTEST, entry / "entry.zip")


def test_picture_that_changes_while_it_is_packed(entry, tmp_path, monkeypatch):
    import submission.packing.build as module

    def describe(data):
        (entry / NAMES[2]).write_bytes(png(seed=99))
        return real(data)

    real = module.describe
    monkeypatch.setattr(module, "describe", describe)
    (entry / NAMES[2]).write_bytes(png(seed=98))
    monkeypatch.setattr(module, "check_items", lambda *arguments: [])
    result = build(entry, CONTEST, tmp_path / "a.zip")  # changed before it was described: consistent
    assert result.state == "written"
    monkeypatch.setattr(module, "describe", lambda data: replace(real(data), sha256="0"))
    with pytest.raises(UserError, match="changed while it was packed"):
        build(entry, CONTEST, tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists()


def test_run_folder_names_its_contest_and_the_manifest_keeps_the_run(tmp_path, entry):
    folder = run_folder(tmp_path, entry)
    out = folder / "entry.zip"
    assert check(folder) == []
    build(folder, None, out)
    with zipfile.ZipFile(out) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    assert b"secret" not in out.read_bytes()
    assert manifest["contest"]["name"] == "tiny"
    said = {key: value for key, value in manifest["run"].items() if value not in (None, {})}
    assert said == {
        "schema_version": 1,
        "name": "demo",
        "contest": "tiny",
        "styles": ["00", "01"],
        "images": "images",
        "seed": 0,
    }
    again = tmp_path / "again.zip"  # rebuilt from the archive alone: nothing is lost
    build(out, CONTEST, again)
    assert again.read_bytes() == out.read_bytes()


def test_run_whose_references_are_gone_is_checked_with_a_warning(tmp_path, entry):
    folder = run_folder(tmp_path, entry)
    (folder / "refs").rename(tmp_path / "elsewhere")
    findings = check(folder, CONTEST)
    assert [(one.code, one.path, one.severity) for one in findings] == [("S215", ".", "warning")]
    assert build(folder, CONTEST, folder / "entry.zip").state == "written"


def test_run_of_some_styles_is_checked_for_those(tmp_path, entry):
    folder = run_folder(tmp_path, entry, styles=["01"])
    shutil.rmtree(folder / "images" / "00")
    assert check(folder) == []


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"schema_version": 2}, "schema_version"),
        ({"images": 5}, "run.images must be of type string"),
        ({"styles": [1]}, r"run.styles\[0\] must be"),
        ({"contest": []}, "run.contest must be"),
        ({"config": "safe"}, "run.config must be an object"),
        ({"local": 5}, "local must be an object"),
        ({"local": {"references": 5}}, "local.references"),
        ({"local": {}}, "which contest"),
        ({"styles": ["07"]}, "no style '07'"),
        ({"images": "nowhere"}, "no such file or folder"),
    ],
)
def test_run_json_that_does_not_fit(tmp_path, entry, changes, part):
    with pytest.raises(UserError, match=part):
        check(run_folder(tmp_path, entry, **changes))


def test_nan_in_a_run_does_not_enter_a_manifest(tmp_path, entry):
    folder = run_folder(tmp_path, entry, config={"loss": float("nan")})
    with pytest.raises(UserError, match="manifest"):
        build(folder, None, folder / "entry.zip")


def test_repacked_archive_is_found(entry, tmp_path):
    build(entry, CONTEST, tmp_path / "entry.zip")
    with (
        zipfile.ZipFile(tmp_path / "entry.zip") as archive,
        zipfile.ZipFile(tmp_path / "b.zip", "w") as other,
    ):
        for path in archive.namelist():
            other.writestr(zipfile.ZipInfo(path, time.gmtime(10**9)[:6]), archive.read(path))
    assert [one.code for one in verify(tmp_path / "b.zip", CONTEST)] == ["S307"]


def test_warnings_are_told_and_refuse_nothing(entry, tmp_path):
    (entry / NAMES[2]).write_bytes(png(seed=2, icc_profile=b"a profile"))
    out = tmp_path / "entry.zip"
    result = build(entry, CONTEST, out)
    assert (result.state, [(one.code, one.severity) for one in result.findings]) == ("written", [("S209", "warning")])
    assert list(result.findings) == check(entry, CONTEST) == verify(out, CONTEST)
    repacked = tmp_path / "b.zip"
    repacked.write_bytes(out.read_bytes() + b"\0")
    assert any(one.severity == "error" for one in verify(repacked, CONTEST))


def test_references_reach_the_rules(entry, tmp_path):
    noise = np.random.default_rng(5).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    large = Image.fromarray(noise).resize((64, 64), Image.Resampling.BICUBIC)
    (tmp_path / "refs" / "01" / "images").mkdir(parents=True)
    large.save(tmp_path / "refs" / "01" / "images" / "sun.png")
    write_files(tmp_path / "refs" / "00" / "images", {"boat.png": png(size=(9, 8), seed=90)})
    for i, name in enumerate(NAMES[:2]):
        (entry / name).write_bytes(png(size=(64, 64), seed=i))
    large.save(entry / NAMES[2])
    out = tmp_path / "entry.zip"
    found = [list(build(entry, CONTEST, out, references=tmp_path / "refs").findings)]
    found += [function(out, CONTEST, tmp_path / "refs") for function in (check, verify)]
    assert [[(one.code, one.path) for one in findings] for findings in found] == [[("S212", NAMES[2])]] * 3
    assert check(out, CONTEST) == []


def test_story_goes_the_same_way(tmp_path):
    names = [f"{number}.png" for number in range(1, 9)]
    rows = "".join(f"{name},scene {name[0]}\n" for name in names)
    files = {name: png(size=(12, 8), seed=seed) for seed, name in enumerate(names)}
    files.update({"sheet.png": png(size=(48, 16), seed=9), "prompts.csv": f"file,prompt\n{rows}".encode()})
    out = tmp_path / "story.zip"
    assert build(write_files(tmp_path / "story", files), load_contest("kolors-story"), out).state == "written"
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == sorted([*files, "manifest.json"])
        assert json.loads(archive.read("manifest.json"))["contest"]["name"] == "kolors-story"
    assert verify(out) == check(out) == [], "the manifest names its contest"


def test_verify_takes_archives_only(entry):
    with pytest.raises(UserError, match="a folder"):
        verify(entry, CONTEST)


def test_contest_that_is_asked_for_is_meant_whole(tmp_path, entry):
    from submission.packing.source import choose_contest, open_source

    folder = run_folder(tmp_path, entry, styles=["01"])
    source = open_source(folder)
    assert list(choose_contest(source).styles) == ["01"]
    asked = choose_contest(source, references=folder / "refs")
    assert (asked.name, list(asked.styles)) == ("tiny", ["00", "01"])
    assert list(choose_contest(source, references=folder / "refs", styles=["00"]).styles) == ["00"]
