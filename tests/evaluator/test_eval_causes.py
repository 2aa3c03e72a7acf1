"""Pictures that are none: what they are instead, and the cure that works."""

from __future__ import annotations

import io
import shutil
import zipfile

import pytest
from click.testing import CliRunner
from fixture_contest import paint
from PIL import Image, PngImagePlugin

from contest.errors import UserError
from evaluator import EntryRefused, score_submission
from evaluator.cli import main
from evaluator.inputs.images import BadPicture, inspect_png

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{7:064d}\nsize 7000\n".encode()


def saved(**options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(paint(1, 64, 1)).save(stream, "PNG", **options)
    return stream.getvalue()


def large_text() -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "x" * 1_200_000, zip=True)
    return info


KINDS = {
    "pointer": (POINTER, "is a Git LFS pointer", "git lfs pull"),
    "line ends": (saved().replace(b"\r\n", b"\n"), "line ends were converted", "*.png binary"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99), "is a HEIC", "as PNG"),
    "avif": (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1" + bytes(99), "is an AVIF", "as PNG"),
    "page": (b"<!DOCTYPE html><html><title>Sign in</title></html>", "is a web page", "download the picture itself"),
    "text": (saved(pnginfo=large_text()), "text or profile of more than 1 MiB", "save it without metadata"),
    "profile": (saved(icc_profile=bytes(1_200_000)), "text or profile of more than 1 MiB", "save it without metadata"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_cause_and_cure_of_an_entrys_picture_and_of_a_reference(kind, pack, outputs, references):
    data, cause, cure = KINDS[kind]
    with pytest.raises(BadPicture) as bad:
        inspect_png(data)
    assert cause in str(bad.value) and cure in str(bad.value) and "\n" not in str(bad.value)
    (outputs / "00" / "Dog.png").write_bytes(data)
    with pytest.raises(EntryRefused) as refused:
        score_submission(outputs, references=references, weights=pack)
    assert [(one.code, one.where) for one in refused.value.findings] == [("unreadable", "00/Dog.png")]
    assert cure in str(refused.value)
    for path in references.glob("*/images/*.png"):
        path.write_bytes(data)
    with pytest.raises(UserError, match="the references cannot be used") as caught:
        score_submission(outputs, references=references, weights=pack)
    assert str(caught.value).count(cure) == 1 and "more like it)" in str(caught.value)


def test_what_is_kept_small_is_read():
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "x" * 1_000_000, zip=True)
    assert inspect_png(saved(pnginfo=info, icc_profile=bytes(1_000_000))) == (64, 64)


def refusal(*given) -> str:
    result = CliRunner().invoke(main, [str(one) for one in given])
    assert isinstance(result.exception, SystemExit) and result.exit_code == 2, result.output
    (line,) = result.output.splitlines()
    return line


def test_pointers_in_place_of_weights_prompts_and_packs(contest, references, tmp_path, pack):
    given = ("score", contest / "outputs", "--weights")
    weights = shutil.copytree(pack, tmp_path / "weights")
    (weights / "RN50.pt").write_bytes(POINTER)
    words = "RN50.pt: a Git LFS pointer; fetch it with: git lfs pull"
    assert words in refusal(*given, weights, "--references", references)
    (references / "00" / "prompt.json").write_bytes(POINTER)
    assert "prompt.json: a Git LFS pointer" in refusal(*given, pack, "--references", references)
    (tmp_path / "refs.npz").write_bytes(POINTER)
    assert "refs.npz: a Git LFS pointer" in refusal(*given, pack, "--references", tmp_path / "refs.npz")
    (tmp_path / "entry.zip").write_bytes(POINTER)
    assert "Git LFS pointer" in refusal("score", tmp_path / "entry.zip", *given[2:], pack, "--references", references)


@pytest.mark.parametrize("beside", [(), ("README.md",), ("README.md", "@eaDir/x")])
@pytest.mark.parametrize("prefix", ["entry/", "deep/entry/"])
def test_a_folder_too_high_is_told_where_the_styles_are(prefix, beside, contest, pack, tmp_path):
    folder = tmp_path / "wrapped"
    shutil.copytree(contest / "outputs", folder / prefix)
    for name in beside:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    with zipfile.ZipFile(tmp_path / "wrapped.zip", "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    given = ("--references", contest / "references", "--weights", pack)
    for path in (folder, tmp_path / "wrapped.zip"):
        line = refusal("score", path, *given)
        assert f"one folder too deep: the style folders are in {prefix};" in line, line
        assert "put what is inside it at the top" in line
    assert f"give {folder / prefix}" in refusal("score", folder, *given)


def test_a_style_folder_is_told_to_be_too_low(contest, pack, tmp_path):
    given = ("--references", contest / "references", "--weights", pack)
    folder = tmp_path / "images"
    shutil.copytree(contest / "outputs", folder)
    line = refusal("score", folder / "00", *given)
    assert f"holds pictures outside of style folders; give the folder that holds all style folders, {folder}" in line
    (tmp_path / "run.json").write_text('{"schema_version": 1}')
    assert refusal("score", folder / "00", *given).endswith(f"style folders, {tmp_path}")
    shutil.copytree(folder / "00", tmp_path / "mine")
    assert refusal("score", tmp_path / "mine", *given).endswith("that holds all style folders")
    shutil.make_archive(str(tmp_path / "flat"), "zip", folder / "00")
    assert "holds pictures outside of style folders" in refusal("score", tmp_path / "flat.zip", *given)


def test_references_a_folder_too_high(contest, pack, tmp_path):
    shutil.copytree(contest / "references", tmp_path / "all" / "refs")
    (tmp_path / "run" / "images").mkdir(parents=True)  # beside it, which makes no style of `all`
    line = refusal("score", contest / "outputs", "--references", tmp_path / "all", "--weights", pack)
    assert f"no styles in it; it lies too high, give {tmp_path / 'all' / 'refs'}" in line


def test_names_that_are_nearly_right_are_told(pack, outputs, references):
    prompts = references / "00" / "prompt.json"
    prompts.write_text(prompts.read_text("utf-8").replace("Dog", "caf\u00e9"), "utf-8")
    (outputs / "00" / "Dog.png").rename(outputs / "00" / "cafe\u0301.png")
    with pytest.raises(EntryRefused) as refused:
        score_submission(outputs, references=references, weights=pack)
    assert [(one.code, one.where, one.message) for one in refused.value.findings] == [
        ("missing-picture", "00/caf\u00e9.png", "is missing; a file there has nearly its name"),
        ("extra-picture", "00/cafe\u0301.png", "should be named caf\u00e9.png in Unicode normal form C"),
    ]


def test_links_that_lead_nowhere_are_told(pack, outputs, references, tmp_path):
    given = ("--references", references, "--weights", pack)
    (outputs / "00" / "Dog.png").unlink()
    (outputs / "00" / "Dog.png").symlink_to("gone.png")
    with pytest.raises(EntryRefused, match="is a link that leads nowhere; fetch what it links to") as refused:
        score_submission(outputs, references=references, weights=pack)
    assert [(one.code, one.where) for one in refused.value.findings] == [("stray-file", "00/Dog.png")]
    (tmp_path / "entry").symlink_to("gone")
    assert "a link that leads nowhere" in refusal("score", tmp_path / "entry", *given)


def test_a_file_in_place_of_references(pack, outputs, tmp_path):
    (tmp_path / "refs.zip").write_bytes(POINTER)
    line = refusal("score", outputs, "--references", tmp_path / "refs.zip", "--weights", pack)
    assert "a file, and no pack, whose name ends in .npz" in line
