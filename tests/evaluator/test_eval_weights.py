from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from contest.console import Group
from contest.errors import UserError
from evaluator.commands.weights import command
from evaluator.weights import catalogue
from evaluator.weights import folder as names
from evaluator.weights.catalogue import BUNDLED, EXTRAS, NETWORKS, HubFile, WebFile, stand
from evaluator.weights.folder import doubts, hash_files, open_weights


def run(*arguments: object) -> Result:
    return CliRunner().invoke(Group(commands=[command]), ["weights", *map(str, arguments)])


@pytest.fixture
def pinned(pack, tmp_path, monkeypatch) -> Path:
    """A folder whose small files pass for the real ones: pins, lock and widths are made to fit them."""
    root = Path(shutil.copytree(pack, tmp_path / "pinned"))
    for folder, key in ((names.DINO, "hidden_size"), (names.CLIP, "projection_dim")):
        (root / folder / "config.json").write_text(json.dumps({key: 768}), "utf-8")
    hashes = {file.name: hashlib.sha256((root / file.name).read_bytes()).hexdigest() for file in NETWORKS}
    networks = tuple(
        WebFile(file.name, file.urls, hashes[file.name][:8]) if isinstance(file, WebFile) else file for file in NETWORKS
    )
    monkeypatch.setattr(catalogue, "NETWORKS", networks)
    lock = {
        file.name: {"sha256": hashes[file.name], "revision": file.revision}
        for file in NETWORKS
        if isinstance(file, HubFile)
    }
    aesthetic = hashlib.sha256((root / names.AESTHETIC).read_bytes()).hexdigest()
    lock[names.AESTHETIC] = {"sha256": aesthetic, "url": "somewhere"}
    (root / names.LOCK).write_text(json.dumps({"schema_version": 1, "files": lock}), "utf-8")
    return root


def test_the_catalogue_is_what_the_metrics_need(pack):
    needed = set(open_weights(pack).files)
    assert {file.name for file in (*NETWORKS, *BUNDLED, *EXTRAS["aesthetic"])} == needed
    for file in NETWORKS:
        if isinstance(file, HubFile):
            assert file.name == f"{file.repo.partition('/')[2]}/{file.name.partition('/')[2]}"
            assert len(file.revision) == 40
        else:
            assert file.sha256 == names.PINS[file.name]
            assert all(url.startswith("https://") and url.endswith(file.name) for url in file.urls)


def test_hashes_are_those_of_hashlib_sorted_by_name(pack):
    hashes = open_weights(pack).hashes()
    assert list(hashes) == sorted(hashes)
    files = open_weights(pack).files
    assert hashes == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    assert hash_files({}) == {}


def test_the_aesthetic_head_is_optional(pack, tmp_path):
    root = Path(shutil.copytree(pack, tmp_path / "pack"))
    assert open_weights(root).files[names.AESTHETIC] == root / names.AESTHETIC
    (root / names.AESTHETIC).unlink()
    assert names.AESTHETIC not in open_weights(root).files


def test_a_missing_folder_names_both_commands(tmp_path):
    with pytest.raises(UserError, match=r"no such weights folder; `jdart-eval weights pull .*weights new"):
        open_weights(tmp_path / "no")


def test_a_missing_file_names_the_command(pack, tmp_path):
    root = Path(shutil.copytree(pack, tmp_path / "pack"))
    (root / names.RN50).unlink()
    with pytest.raises(UserError, match=r"missing: RN50\.pt; `jdart-eval weights pull"):
        open_weights(root)


def test_verify_is_content_with_what_pins_and_lock_say(pinned):
    result = run("verify", pinned)
    assert (result.exit_code, result.output) == (0, f"{pinned}: all 13 files are as pinned\n")


@pytest.mark.parametrize("name", [file.name for file in NETWORKS] + [names.AESTHETIC])
def test_verify_finds_one_changed_bit(pinned, name):
    data = bytearray((pinned / name).read_bytes())
    data[len(data) // 2] ^= 1
    (pinned / name).write_bytes(data)
    result = run("verify", pinned)
    assert result.exit_code == 1
    assert result.output.count("\n") == 2
    assert f"{name}: wrong, sha256 {hashlib.sha256(data).hexdigest()[:12]}, expected" in result.output
    assert "1 of 13 files" in result.output


def test_the_lock_takes_the_doubts_about_the_folders_away(pinned):
    weights = open_weights(pinned)
    pinned_hashes = {**weights.hashes(), **names.PINS}
    assert doubts(weights, pinned_hashes) == []
    (pinned / names.LOCK).unlink()
    assert [reason.split()[0] for reason in doubts(weights, pinned_hashes)] == [names.DINO, names.CLIP]


def test_verify_lists_every_finding(pinned):
    (pinned / names.LOCK).unlink()
    (pinned / names.RN50).unlink()
    (pinned / names.SQUEEZENET).write_bytes(b"")
    result = run("verify", pinned)
    assert result.exit_code == 1
    assert [result.output.count(f": {state}") for state in ("missing", "wrong", "unverified")] == [1, 1, 9]


def test_a_lock_of_another_revision_does_not_vouch(pinned):
    lock = json.loads((pinned / names.LOCK).read_text())
    lock["files"][f"{names.CLIP}/merges.txt"]["revision"] = "0" * 40
    (pinned / names.LOCK).write_text(json.dumps(lock))
    result = run("verify", pinned)
    assert result.exit_code == 1
    assert f"{names.CLIP}/merges.txt: unverified" in result.output


def test_verify_calls_a_miniature_by_its_name(pack):
    result = run("verify", pack)
    assert result.exit_code == 1
    assert result.output == f"{pack}: miniature weights, for tests and trials only; they are not the contest's\n"


def test_another_version_of_lpips_is_found(pinned, tmp_path, monkeypatch):
    heads = tmp_path / "squeeze.pth"
    heads.write_bytes(b"other")
    monkeypatch.setattr(catalogue, "lpips_heads", lambda: heads)
    result = run("verify", pinned)
    assert result.exit_code == 1
    assert f"{names.HEADS}: wrong, in the lpips package" in result.output


@pytest.mark.parametrize("name", ["verify", "list"])
def test_misuse_is_exit_code_2(name, pinned, tmp_path):
    result = run(name, tmp_path / "no")
    assert result.exit_code == 2
    assert "no such weights folder" in result.output
    (pinned / names.LOCK).write_text("[]")
    result = run(name, pinned)
    assert result.exit_code == 2
    assert f"{names.LOCK}: must hold an object" in result.output


def test_list_as_json_with_and_without_a_folder(pinned):
    rows = json.loads(run("list", "--json").output)["files"]
    assert [row["name"] for row in rows if row["optional"]] == [names.AESTHETIC]
    assert {row["name"]: row["pin"] for row in rows}[names.HEADS] == names.PINS[names.HEADS]
    assert all("state" not in row for row in rows)
    (pinned / names.INCEPTION).unlink()
    (pinned / names.RN50).write_bytes(b"x")
    rows = {row["name"]: row for row in json.loads(run("list", pinned, "--json").output)["files"]}
    assert (rows[names.INCEPTION]["state"], rows[names.INCEPTION]["size"]) == ("missing", None)
    assert (rows[names.RN50]["state"], rows[names.RN50]["size"]) == ("wrong", 1)
    merges = rows[f"{names.CLIP}/merges.txt"]
    assert (merges["state"], merges["source"]) == ("right", "openai/clip-vit-large-patch14@32bd64288804")


def test_list_as_a_table(pinned, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    (pinned / names.AESTHETIC).unlink()
    result = run("list", pinned)
    assert result.exit_code == 0
    lines = {line.split()[1]: line for line in result.output.splitlines() if line.startswith("│")}
    assert "afeb0e10f9e5" in lines[names.RN50]
    assert "facebook/dinov2-base@f9e44c814b77" in lines[f"{names.DINO}/config.json"]
    assert "missing" in lines[names.AESTHETIC]
    assert "(optional)" in lines[names.AESTHETIC]
    assert "state" not in run("list").output


def test_pull_says_what_it_did(pinned):
    """All is there but nothing is fetched, so this needs no network."""
    result = run("pull", pinned, "--with", "aesthetic")
    assert (result.exit_code, result.output.count("fetched 0 of 12 files")) == (0, 1), result.output
    files = json.loads((pinned / names.LOCK).read_text())["files"]
    assert set(files) == {file.name for file in (*NETWORKS, *EXTRAS["aesthetic"])}
    assert run("verify", pinned).exit_code == 0


def test_pull_does_not_touch_a_miniature_folder(pack):
    before = sorted((path, path.stat().st_mtime_ns) for path in pack.rglob("*"))
    result = run("pull", pack)
    assert result.exit_code == 2
    assert "not the pinned files, and left as they are: RN50.pt" in result.output
    assert sorted((path, path.stat().st_mtime_ns) for path in pack.rglob("*")) == before


def test_new_writes_a_folder_that_is_complete(tmp_path):
    result = run("new", tmp_path / "tiny")
    assert (result.exit_code, "not comparable" in result.output) == (0, True)
    open_weights(tmp_path / "tiny")
    assert run("new", tmp_path / "tiny").exit_code == 2


def test_random_weights_of_the_real_widths_are_doubted(pack, tmp_path):
    root = Path(shutil.copytree(pack, tmp_path / "full"))
    for folder, key in ((names.DINO, "hidden_size"), (names.CLIP, "projection_dim")):
        (root / folder / "config.json").write_text(json.dumps({key: 768}), "utf-8")
    weights = open_weights(root)
    assert not names.is_miniature(root)
    assert len(doubts(weights, weights.hashes())) == 5
    assert {item.state for item in stand(root, NETWORKS)} == {"wrong", "unverified"}
