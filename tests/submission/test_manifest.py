"""manifest.json: its schema, how strictly it is read, and where what it says comes from."""

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner
from tiny_entry import CONTEST, NAMES, png, write_files
from tiny_run import LORA, add_compositions, add_loras, add_report, run_folder, sha256

import submission
from submission import UserError, build, check, verify
from submission.cli import main
from submission.packing.archive import pack
from submission.packing.manifest import File, fingerprint_of, manifest_schema
from submission.packing.provenance import find_commit

SCHEMA = json.loads((Path(submission.__file__).parent / "packing" / "manifest.schema.json").read_text())
CONFIG = {"seed": 3, "train": {"steps": 200, "lr": 1e-4}, "styles": None}
VERSIONS = {"python": "3.11.7", "jittor": "1.3.11", "transformers": None}
BASE = {"source": "tiny", "revision": None, "sha256": "cd" * 32}
COMMIT = "0123456789abcdef" * 2 + "01234567"


def read_manifest(path):
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("manifest.json"))


def repack(out, change):
    """Change the files of an archive and write it as build writes archives."""
    with zipfile.ZipFile(out) as archive:
        files = {path: archive.read(path) for path in archive.namelist()}
    manifest = json.loads(files["manifest.json"])
    before = json.dumps(manifest)
    change(files, manifest)
    if json.dumps(manifest) != before:
        files["manifest.json"] = json.dumps(manifest).encode()
    out.write_bytes(b"".join(pack({path: lambda path=path: files[path] for path in files})))


def git(folder, *arguments):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    done = subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_published_schema_is_the_types(tmp_path, entry):
    assert manifest_schema() == SCHEMA
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_everything_a_run_knows_goes_in(tmp_path, entry):
    folder = run_folder(
        tmp_path, entry, config=CONFIG, versions=VERSIONS, base=BASE, tool="jdart 9", commit=COMMIT, later="field"
    )
    add_loras(folder)
    add_report(folder)
    out = folder / "entry.zip"
    build(folder, None, out)
    manifest = read_manifest(out)
    jsonschema.validate(manifest, SCHEMA)
    assert manifest["run"] == {
        "schema_version": 1,
        "name": "demo",
        "tool": "jdart 9",
        "contest": "tiny",
        "styles": ["00", "01"],
        "images": "images",
        "seed": 0,
        "config": CONFIG,
        "base": BASE,
        "commit": COMMIT,
        "lora": {
            style: {"file": f"lora/{style}/{LORA}", "sha256": sha256(f"weights of {style}".encode())}
            for style in CONTEST.styles
        },
        "versions": VERSIONS,
    }
    assert manifest["score"]["final"] == 0.25
    assert manifest["score"]["weights"] == {"inception.pt": "ab" * 32}
    assert manifest["commit"] == COMMIT  # as it was when the run began, whatever is checked out now
    assert b"secret" not in out.read_bytes()
    assert verify(out, CONTEST) == []
    build(out, CONTEST, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == out.read_bytes(), "nothing is lost on the way"


def test_plain_folder_has_a_valid_manifest(tmp_path, entry):
    build(entry, CONTEST, tmp_path / "a.zip")
    jsonschema.validate(read_manifest(tmp_path / "a.zip"), SCHEMA)


def test_score_of_other_pictures_does_not_go_in(tmp_path, entry):
    folder = run_folder(tmp_path, entry)
    add_report(folder)
    (folder / "images" / NAMES[2]).write_bytes(png(seed=77))
    build(folder, None, folder / "entry.zip")
    assert read_manifest(folder / "entry.zip")["score"] is None


@pytest.mark.parametrize("changes", [{"scores": {"final": "high"}}, {"provenance": None}, {"profile": 3}])
def test_report_that_is_not_one_is_misuse(tmp_path, entry, changes):
    folder = run_folder(tmp_path, entry)
    add_report(folder, **changes)
    with pytest.raises(UserError, match=r"report\.json: not a report"):
        build(folder, None, folder / "entry.zip")


def test_fingerprint_is_that_of_the_styles_pictures_in_order():
    names = [("a b", "x.png"), ("a", "z.png"), ("a", "ü.png"), ("b", "1.png")]
    hashes = {pair: sha256("/".join(pair).encode()) for pair in names}
    files = {"/".join(pair): File(value, 1) for pair, value in hashes.items()}
    files["lora/a/pytorch_lora_weights.bin"] = files["prompts.csv"] = File("0" * 64, 1)
    ordered = [("a", "z.png"), ("a", "ü.png"), ("a b", "x.png"), ("b", "1.png")]
    lines = "".join(f"{hashes[pair]}  {'/'.join(pair)}\n" for pair in ordered)
    assert fingerprint_of(files, ["a b", "a", "b"]) == sha256(lines.encode())


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_commit_is_what_git_says(tmp_path):
    work = tmp_path / "work"
    (work / "deep" / "run").mkdir(parents=True)
    assert find_commit(work / "deep" / "run") is None
    git(work, "init", "--quiet", "--initial-branch", "main")
    assert find_commit(work / "deep" / "run") is None, "nothing is committed yet"
    git(work, "commit", "--quiet", "--allow-empty", "-m", "one")
    assert find_commit(work / "deep" / "run") == git(work, "rev-parse", "HEAD")
    git(work, "commit", "--quiet", "--allow-empty", "-m", "two")
    git(work, "worktree", "add", "--quiet", "../other", "-b", "feature/x", "HEAD~1")
    assert find_commit(tmp_path / "other") == git(tmp_path / "other", "rev-parse", "HEAD") != find_commit(work)
    git(work, "pack-refs", "--all")
    assert find_commit(work) == git(work, "rev-parse", "HEAD")
    git(work, "checkout", "--quiet", "--detach")
    assert find_commit(work) == git(work, "rev-parse", "HEAD")


@pytest.mark.parametrize("head", ["", "ref: ../../secret", "ref: refs/heads/main", "nonsense", "\x00", "ref: \x00"])
def test_broken_repository_has_no_commit(tmp_path, head):
    (tmp_path / "secret").write_text("not a commit")
    (tmp_path / "work" / ".git").mkdir(parents=True)
    (tmp_path / "work" / ".git" / "HEAD").write_text(head)
    assert find_commit(tmp_path / "work") is None


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_commit_goes_into_the_manifest_and_through_a_rebuild(tmp_path, entry):
    folder = run_folder(tmp_path, entry)
    git(folder, "init", "--quiet")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "one")
    build(folder, None, tmp_path / "a.zip")
    assert read_manifest(tmp_path / "a.zip")["commit"] == git(folder, "rev-parse", "HEAD")
    build(tmp_path / "a.zip", CONTEST, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


@pytest.mark.parametrize("name", [LORA, "pytorch_lora_weights.bin"])
def test_weights_go_along_on_demand(tmp_path, entry, name):
    folder = run_folder(tmp_path, entry)
    loras = add_loras(folder, name)
    build(folder, None, tmp_path / "small.zip")
    with zipfile.ZipFile(tmp_path / "small.zip") as archive:
        assert archive.namelist() == [*NAMES, "manifest.json"]
    out = tmp_path / "entry.zip"
    build(folder, None, out, include_weights=True)
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == [*NAMES, *loras, "manifest.json"]
        assert {path: archive.read(path) for path in loras} == loras
        archive.extractall(tmp_path / "unpacked")
    assert check(out, CONTEST) == verify(out, CONTEST) == check(tmp_path / "unpacked", CONTEST) == []
    listed = read_manifest(out)["files"]
    assert {path: listed[path]["sha256"] for path in loras} == {path: sha256(data) for path, data in loras.items()}
    build(out, CONTEST, tmp_path / "again.zip", include_weights=True)
    assert (tmp_path / "again.zip").read_bytes() == out.read_bytes()
    build(out, CONTEST, tmp_path / "without.zip")
    assert (tmp_path / "without.zip").read_bytes() == (tmp_path / "small.zip").read_bytes()


def test_tokens_and_compositions_go_along_where_there_are_any(tmp_path, entry):
    folder = run_folder(tmp_path, entry)
    loras, compositions = add_loras(folder), add_compositions(folder)
    token = {"lora/01/learned_embeds.safetensors": b"a word"}
    write_files(folder, token)
    out, whole = tmp_path / "entry.zip", {**compositions, **loras, **token}
    build(folder, None, out, include_weights=True)
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == sorted([*NAMES, *whole, "manifest.json"])
        assert {path: archive.read(path) for path in whole} == whole
        archive.extractall(tmp_path / "unpacked")
    assert check(out, CONTEST) == verify(out, CONTEST) == check(tmp_path / "unpacked", CONTEST) == []
    manifest = read_manifest(out)
    jsonschema.validate(manifest, SCHEMA)
    assert {path: manifest["files"][path]["sha256"] for path in whole} == {p: sha256(data) for p, data in whole.items()}
    said = {style: one["sha256"] for style, one in manifest["run"]["composition"].items()}
    assert said == {style: sha256(f"composition of {style}".encode()) for style in CONTEST.styles}
    build(out, CONTEST, tmp_path / "again.zip", include_weights=True)
    assert (tmp_path / "again.zip").read_bytes() == out.read_bytes()
    build(folder, None, tmp_path / "small.zip")
    build(out, CONTEST, tmp_path / "without.zip")
    assert (tmp_path / "without.zip").read_bytes() == (tmp_path / "small.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "small.zip") as archive:
        assert archive.namelist() == [*NAMES, "manifest.json"]


def test_a_run_without_a_composition_says_nothing_of_one(tmp_path, entry):
    folder = run_folder(tmp_path, entry)
    add_loras(folder)
    build(folder, None, tmp_path / "entry.zip", include_weights=True)
    with zipfile.ZipFile(tmp_path / "entry.zip") as archive:
        assert b"composition" not in archive.read("manifest.json")


def test_weights_option(tmp_path, entry):
    folder = run_folder(tmp_path, entry)
    add_loras(folder)
    for arguments in (["build", folder, "--include-weights"], ["verify", folder / "entry.zip"]):
        result = CliRunner().invoke(main, [*map(str, arguments), "--references", str(folder / "refs")])
        assert result.exit_code == 0, result.output
    with zipfile.ZipFile(folder / "entry.zip") as archive:
        assert f"lora/00/{LORA}" in archive.namelist()


def test_weights_that_are_missing_or_too_large(tmp_path, entry):
    folder = run_folder(tmp_path, entry)
    add_loras(folder)
    (folder / "lora" / "01" / LORA).unlink()
    with pytest.raises(UserError, match="no LoRA file of style 01;.*--include-weights"):
        build(folder, None, tmp_path / "a.zip", include_weights=True)
    with pytest.raises(UserError, match="no LoRA file of style 00, 01"):
        build(folder / "images", CONTEST, tmp_path / "a.zip", include_weights=True)
    with open(folder / "lora" / "01" / LORA, "wb") as stream:
        stream.truncate((64 << 20) + 1)
    with pytest.raises(UserError, match="larger than contest tiny takes"):
        build(folder, None, tmp_path / "a.zip", include_weights=True)
    assert not (tmp_path / "a.zip").exists()


@pytest.mark.parametrize("place", [f"lora/01/{LORA}", f"composition/lora/01/{LORA}"])
def test_lora_of_another_run_is_refused(tmp_path, entry, place):
    folder = run_folder(tmp_path, entry)
    add_loras(folder)
    add_compositions(folder)
    (folder / place).write_bytes(b"other")
    result = build(folder, None, tmp_path / "a.zip", include_weights=True)
    assert (result.state, [(one.code, one.path) for one in result.findings]) == ("refused", [("S309", place)])
    assert not (tmp_path / "a.zip").exists()


@pytest.mark.parametrize(
    "path",
    [
        "lora/00/notes.txt",
        "lora/77/pytorch_lora_weights.bin",
        "lora/00/more/pytorch_lora_weights.bin",
        "lora/x",
        "lora/77/learned_embeds.safetensors",
        "composition/lora/00/learned_embeds.safetensors",
        "composition/lora/77/pytorch_lora_weights.safetensors",
        "composition/00/pytorch_lora_weights.safetensors",
        "more/composition/lora/00/pytorch_lora_weights.safetensors",
    ],
)
def test_other_files_beside_the_weights_are_found(tmp_path, entry, path):
    folder = run_folder(tmp_path, entry)
    add_loras(folder)
    out = tmp_path / "entry.zip"
    build(folder, None, out, include_weights=True)

    def add(files, manifest):
        files[path] = b"x"
        manifest["files"][path] = {"sha256": sha256(b"x"), "bytes": 1}

    repack(out, add)
    assert {one.code for one in verify(out, CONTEST)} == {"S106"}


def test_weights_that_no_manifest_lists_are_an_unknown_folder(tmp_path, entry):
    build(entry, CONTEST, tmp_path / "entry.zip")
    repack(tmp_path / "entry.zip", lambda files, manifest: files.update({f"lora/00/{LORA}": b"x"}))
    assert {one.code for one in check(tmp_path / "entry.zip", CONTEST)} == {"S106"}
    assert {one.code for one in verify(tmp_path / "entry.zip", CONTEST)} == {"S106", "S304"}


def sets(*path, value):
    """A change of one value in the manifest."""

    def change(files, manifest):
        for key in path[:-1]:
            manifest = manifest[key]
        manifest[path[-1]] = value

    return change


def text(data):
    return lambda files, manifest: files.update({"manifest.json": data})


CASES = {
    "no manifest": (lambda files, manifest: files.pop("manifest.json"), "S301"),
    "not JSON": (text(b"{"), "S302"),
    "not UTF-8": (text(b"\xff"), "S302"),
    "a list": (text(b"[]"), "S302"),
    "too deep": (text(b"[" * 100_000), "S302"),
    "too long": (
        lambda files, _: files.update({"manifest.json": files["manifest.json"] + b" " * (8 << 20)}),
        "S302",
    ),
    "a number no Python takes": (text(b'{"schema_version": ' + b"9" * 5000 + b"}"), "S302"),
    "NaN": (sets("run", value={"schema_version": 1, "config": {"lr": float("nan")}}), "S302"),
    "a name twice": (
        lambda files, _: files.update({"manifest.json": files["manifest.json"].replace(b"{", b'{"tool": "x",', 1)}),
        "S302",
    ),
    "other version": (sets("schema_version", value=2), "S302"),
    "version True": (sets("schema_version", value=True), "S302"),
    "version 1.0": (sets("schema_version", value=1.0), "S302"),
    "no tool": (lambda files, manifest: manifest.pop("tool"), "S302"),
    "files of wrong type": (sets("files", value=[]), "S302"),
    "a file of wrong type": (sets("files", NAMES[0], value="x"), "S302"),
    "a file without hash": (sets("files", "x", value={"bytes": 1}), "S302"),
    "bytes of wrong type": (sets("files", NAMES[0], "bytes", value="1"), "S302"),
    "bytes True": (sets("files", NAMES[0], "bytes", value=True), "S302"),
    "contest of wrong type": (sets("contest", value="tiny"), "S302"),
    "styles of wrong type": (sets("contest", "styles", value=["00"]), "S302"),
    "count of wrong type": (sets("contest", "styles", "00", value=None), "S302"),
    "run of wrong type": (sets("run", value=[]), "S302"),
    "run without version": (sets("run", value={}), "S302"),
    "lora of wrong type": (sets("run", value={"schema_version": 1, "lora": {"00": 5}}), "S302"),
    "seed of wrong type": (sets("run", value={"schema_version": 1, "seed": "5"}), "S302"),
    "commit of wrong type": (sets("commit", value=5), "S302"),
    "score of wrong type": (sets("score", value={"final": 1}), "S302"),
    "other picture": (lambda files, manifest: files.update({NAMES[0]: png(seed=9)}), "S303"),
    "wrong size": (sets("files", NAMES[0], "bytes", value=1), "S303"),
    "wrong hash": (sets("files", NAMES[0], "sha256", value="0" * 64), "S303"),
    "not listed": (lambda files, manifest: manifest["files"].pop(NAMES[0]), "S304"),
    "only listed": (sets("files", "x", value={"sha256": "", "bytes": 0}), "S305"),
    "a name with half a character": (sets("files", "\ud800", value={"sha256": "", "bytes": 0}), "S305"),
    "other contest": (sets("contest", "name", value="b"), "S306"),
    "other count": (sets("contest", "styles", "00", value=9), "S306"),
    "other version of the contest": (sets("contest", "version", value="2"), "S306"),
    "score of other pictures": (
        sets("score", value={"final": 1, "profile": "p", "comparable": True, "pictures": "0", "weights": {}}),
        "S308",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_verify_finds_what_does_not_fit(name, entry, tmp_path):
    change, code = CASES[name]
    out = tmp_path / "entry.zip"
    build(entry, CONTEST, out)
    repack(out, change)
    assert [one.code for one in verify(out, CONTEST)] == [code]
    assert check(out, CONTEST) == [], "the rules do not depend on the manifest"


def test_a_manifest_is_parsed_once(entry, tmp_path, monkeypatch):
    """Where the contest is looked for, by the rules, and where the manifest is proved; a changed one is read anew."""
    from contest.typed import from_json

    out, parsed = tmp_path / "entry.zip", []
    build(entry, CONTEST, out)
    monkeypatch.setattr("submission.packing.manifest.from_json", lambda *values: parsed.append(1) or from_json(*values))
    for count in (1, 2):
        repack(out, sets("commit", value=f"{count:040}"))
        assert verify(out, CONTEST) == check(out, CONTEST) == []
        assert len(parsed) == count


def test_manifest_of_the_first_jdart_is_good(entry, tmp_path):
    out = tmp_path / "entry.zip"
    build(entry, CONTEST, out)

    def older(files, manifest):
        del manifest["commit"], manifest["score"], manifest["contest"]["version"]

    repack(out, older)
    assert verify(out, CONTEST) == []


def test_every_code_of_the_manifest_has_a_case():
    from contest.findings import CHECKS

    elsewhere = {"S307", "S309"}  # repacked archives in test_entry.py; a run's LoRA above
    assert {code for code in CHECKS if code.startswith("S3")} == {code for _, code in CASES.values()} | elsewhere


def test_hostile_manifest_that_is_rebuilt_ends_in_one_line(entry, tmp_path):
    build(entry, CONTEST, tmp_path / "a.zip")
    for value in ({"x": "\ud800"}, {"x": 1e999}, json.loads("[" * 900 + "]" * 900)):
        run = {"schema_version": 1, "config": {"deep": value}}
        repack(tmp_path / "a.zip", sets("run", value=run))
        try:
            build(tmp_path / "a.zip", CONTEST, tmp_path / "b.zip", force=True)
        except UserError as error:
            assert "\n" not in str(error)
