"""The archive of code that the 2026 edition asks for: one thing wrong at a time, packed to the byte, read by others."""

import io
import json
import time
import zipfile

import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement
from packaging.version import Version
from PIL import Image
from tiny_entry import write_files

from contest.findings import CHECKS
from submission import UserError, load_contest
from submission.cli import main
from submission.package.build import build, check
from submission.package.environment import Library, at_least, read_conda, read_requirements
from submission.package.rules import load_package

RULES = load_package("jittor-2026")
DESCRIPTION = "提交说明文档.pdf"
NAME = "contest1_皮卡丘_003.zip"
CONDA = """
name: ours
channels: [conda-forge]
dependencies:
  - python=3.10.14
  - pip
  - conda-forge::numpy=1.26.4
  - pip:
      - jittor==1.3.10.0
"""


def pdf():
    stream = io.BytesIO()
    written = time.gmtime(10**9)  # the file holds it: the same bytes at every moment
    Image.new("RGB", (8, 8)).save(stream, "pdf", creationDate=written, modDate=written)
    return stream.getvalue()


def good():
    return {
        "code/main.py": b"import jittor as jt\n",
        "code/data/read.py": b"import numpy\n",
        "requirements.txt": b"jittor==1.3.10.0\nnumpy==1.26.4  # pinned\n",
        DESCRIPTION: pdf(),
    }


def changed(**changes):
    """The good files with one more or another; None takes one away. Names are told apart by a word in them."""
    files = good()
    for word, data in changes.items():
        path = next(path for path in files if word in path)
        if data is None:
            del files[path]
        else:
            files[path] = data
    return files


def renamed(old, new):
    return {path.replace(old, new, 1): data for path, data in good().items()}


def more(**files):
    return {**good(), **{path.replace("__", "/"): data for path, data in files.items()}}


CASES = {
    "good": (good(), []),
    "conda alone": ({**changed(requirements=None), "environment.yaml": CONDA.encode()}, []),
    "both": ({**good(), "environment.yaml": CONDA.encode()}, []),
    "no code": ({"requirements.txt": good()["requirements.txt"], DESCRIPTION: pdf()}, ["S602"]),
    "no Python": ({**changed(main=None, read=None), "code/run.sh": b"python"}, ["S602"]),
    "no environment": (changed(requirements=None), ["S603"]),
    "environment in GBK": (changed(requirements="# 环境\njittor==1.3.10".encode("gbk")), ["S604"]),
    "environment elsewhere": (changed(requirements=b"-r more.txt\n"), ["S604"]),
    "not conda": ({**changed(requirements=None), "environment.yaml": b"name: ours\n"}, ["S604"]),
    "not pinned": (changed(requirements=b"jittor==1.3.10\nnumpy>=1.22\nscipy\n"), ["S605", "S605"]),
    "no jittor": (changed(requirements=b"numpy==1.26.4\n"), ["S606"]),
    "old jittor": (changed(requirements=b"jittor==1.3.9.14\n"), ["S606"]),
    "other Python": (
        {**changed(requirements=None), "environment.yaml": CONDA.replace("3.10.14", "3.9").encode()},
        ["S606"],
    ),
    "no description": (changed(提交=None), ["S607"]),
    "a picture as description": (changed(提交=b"\x89PNG\r\n\x1a\n" + bytes(99)), ["S608"]),
    "nothing in the description": (changed(提交=b""), ["S608"]),
    "another framework": (changed(main=b"import torch  # import jittor\n"), ["S609"]),
    "a like name is no framework": (changed(main=b"import jittorgeometric\n"), ["S609"]),
    "beside": (more(**{"README.md": b"x", "weights__a.bin": b"x"}), ["S610", "S610"]),
    "left-overs": (more(**{"code__.git__HEAD": b"x", ".DS_Store": b"x"}), ["S610", "S610"]),
    "bytecode": ({**good(), "code/__pycache__/a.pyc": b"x", "code/__pycache__/b.pyc": b"x"}, ["S610"]),
    "wrong case": (renamed("code/", "Code/"), ["S104"]),
    "one folder too deep": ({f"ours/{path}": data for path, data in good().items()}, ["S110"]),
}


def zipped(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("name", CASES)
def test_a_folder_and_its_archive_have_the_same_findings(name, tmp_path):
    files, expected = CASES[name]
    findings = check(write_files(tmp_path / "ours", files), RULES)
    assert [one.code for one in findings] == expected, findings
    assert all(one.message and one.hint for one in findings)
    assert check(zipped(tmp_path / NAME, files), RULES) == findings


def test_every_code_has_a_case():
    assert {code for code in CHECKS if code > "S6"} - {"S601"} <= {
        code for _, codes in CASES.values() for code in codes
    }


@pytest.mark.parametrize(
    ("name", "right"),
    [
        (NAME, True),
        ("contest2_A_b c_041.zip", True),
        ("contest3_a_001.zip", False),
        ("contest1_a_1.zip", False),
        ("contest1__001.zip", False),
        ("contest1_a_000.zip", False),
        ("Contest1_a_001.zip", False),
        ("contest1_a_001.zip.zip", False),
    ],
)
def test_the_archives_name(name, right, tmp_path):
    codes = [one.code for one in check(zipped(tmp_path / name, good()), RULES)]
    assert codes == ([] if right else ["S601"])


def test_what_is_built_is_good_and_the_same_to_the_byte(tmp_path):
    folder = write_files(tmp_path / "ours", more(**{"code__.git__HEAD": b"x", "notes.txt": b"x"}))
    first = build(folder, RULES, tmp_path / "a" / NAME)
    assert (first.state, first.files) == ("written", 4)
    assert build(folder, RULES, tmp_path / "a" / NAME).state == "up to date"
    second = build(folder, RULES, tmp_path / "b" / NAME)
    assert second.sha256 == first.sha256 and check(second.path, RULES) == []
    with zipfile.ZipFile(second.path) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == good()
    listed = json.loads((tmp_path / "b" / f"{NAME}.files.json").read_text("utf-8"))
    assert listed["sha256"] == second.sha256 and set(listed["files"]) == set(good())
    (folder / "code" / "main.py").write_bytes(b"import jittor\n")
    with pytest.raises(UserError, match="--force"):
        build(folder, RULES, first.path)
    assert build(folder, RULES, first.path, force=True).sha256 != first.sha256
    with pytest.raises(UserError, match="lies in code/"):
        build(folder, RULES, folder / "code" / NAME)


LINES = [
    "numpy==1.26.4",
    "numpy == 1.26.4",
    "Sci_Kit.Learn===1.6.1",
    "numpy>=1.26.4",
    "numpy",
    "numpy==1.26.*",
    "numpy==1.26.4,!=1.26.5",
    "numpy~=1.26",
    "pandas[excel]==2.2.3",
    'tomli==2.0.1; python_version < "3.11"',
    "requests (==2.32.0)",
]


@pytest.mark.parametrize("line", LINES)
def test_lines_are_read_as_packaging_reads_them(line):
    theirs = Requirement(line)
    exact = [one.version for one in theirs.specifier if one.operator in ("==", "===") and "*" not in one.version]
    version = exact[0] if len(exact) == len(theirs.specifier) == 1 else None
    name = theirs.name.lower().replace("_", "-").replace(".", "-")
    assert read_requirements(line) == [Library(name, version)]


def test_other_lines_of_requirements():
    commit = "ff7d8ffac7bf3d95cc1962e091c52dc5737492d4"
    text = f"""
# ours
--extra-index-url https://example.org/simple
jittor==1.3.10 \\
    --hash=sha256:00
git+https://github.com/AlgRUC/JittorGeometric.git@{commit}
geometric @ git+https://github.com/AlgRUC/JittorGeometric.git
tool @ https://example.org/tool-1.0-py3-none-any.whl
"""
    assert read_requirements(text) == [
        Library("jittor", "1.3.10"),
        Library("jittorgeometric", commit),
        Library("geometric", None),
        Library("tool", "https://example.org/tool-1.0-py3-none-any.whl"),
    ]
    for wrong in ("-r other.txt", "-e .", "--requirement=more.txt", "???"):
        with pytest.raises(ValueError, match="line"):
            read_requirements(wrong)


def test_lines_of_conda():
    lines = {
        "numpy=1.26.4": "1.26.4",
        "numpy==1.26.4": "1.26.4",
        "numpy=1.26.4=py310_0": "1.26.4",
        "numpy 1.26.4 py310_0": "1.26.4",
        "conda-forge::numpy=1.26.4": "1.26.4",
        "numpy>=1.26": None,
        "numpy=1.26.*": None,
        "numpy": None,
    }
    for line, version in lines.items():
        assert read_conda(f"dependencies: ['{line}']") == [Library("numpy", version)], line
    for wrong in ("[]", "dependencies: 3", "dependencies: [{conda: [x]}]", "dependencies: ['<']"):
        with pytest.raises(ValueError, match="dependencies|library"):
            read_conda(wrong)


@pytest.mark.parametrize("version", ["1.3.9", "1.3.9.14", "1.3.10", "1.3.10.0", "1.3.11.0", "1.4", "2", "1.3"])
def test_versions_are_ordered_as_packaging_orders_them(version):
    assert at_least(version, "1.3.10") == (Version(version) >= Version("1.3.10"))


def test_a_section_is_validated_as_a_whole(tmp_path):
    path = tmp_path / "ours.yaml"
    path.write_text(
        "name: ours\npackage: {archive: '{team}.zip', tracks: [], code: a/b, rank_digits: 0, "
        "pinned: {x: new}, colour: 1}\n"
    )
    with pytest.raises(UserError) as told:
        load_package(str(path))
    for part in (
        "archive must have {track}, {team} and {rank}",
        "package.tracks must be a list",
        "names without folders",
        "package.rank_digits",
        "package.pinned must map",
        "unknown setting package.colour",
        "package.environment is missing",
        "package.description is missing",
    ):
        assert part in str(told.value)
    with pytest.raises(UserError, match="asks for no archive of code"):
        load_package("toy")
    with pytest.raises(UserError, match="not for pictures"):
        load_contest("jittor-2026")


def test_a_contest_may_ask_for_both(tmp_path):
    path = tmp_path / "both.yaml"
    rules = '{archive: "{track}-{team}-{rank}.zip", tracks: [t], code: src, environment: [env.txt], description: d.pdf}'
    path.write_text(f'name: both\nstyles: {{"00": [Cat]}}\npackage: {rules}\n')
    assert load_contest(path).pictures == 1
    assert load_package(str(path)).archive_name("t", "a", 7) == "t-a-007.zip"


def submit(*words):
    done = CliRunner().invoke(main, ["package", *map(str, words), "--contest", "jittor-2026"])
    return done.exit_code, done.output


def test_the_command(tmp_path):
    folder = write_files(tmp_path / "ours", good())
    code, said = submit(folder)
    assert code == 0 and "good (package of jittor-2026)" in said and "see to it yourself: board B" in said
    code, said = submit(folder, "--team", "皮卡丘", "--rank", 3, "-o", tmp_path / "sent")
    assert code == 0 and (tmp_path / "sent" / NAME).is_file() and "4 files" in said
    assert submit(tmp_path / "sent" / NAME)[0] == 0
    assert (tmp_path / "sent" / NAME.replace("contest1", "contest2")).exists() is False
    (folder / "requirements.txt").write_text("numpy\n")
    code, said = submit(folder, "--team", "a", "--rank", 3, "-o", tmp_path / "sent")
    assert code == 1 and "S605" in said and "nothing was written" in said
    code, said = submit(folder, "--format", "json")
    assert code == 1 and json.loads(said)["counts"] == {"S605": 1, "S606": 1}
    for words, problem in (
        (("-o", tmp_path), "give --team and --rank"),
        (("--team", "a"), "are for packing"),
        (("--team", "a/b", "--rank", 1, "-o", tmp_path), "cannot be part of a file's name"),
        (("--team", "a", "--rank", 1000, "-o", tmp_path), "at most 3 digits"),
        (("--team", "a", "--rank", 1, "--track", "x", "-o", tmp_path), "no track x"),
    ):
        code, said = submit(folder, *words)
        assert code == 2 and problem in said and said.count("\n") == 1, said
