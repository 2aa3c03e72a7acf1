"""References without pictures give the same figures, and are refused where they would not."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from contest.errors import UserError
from evaluator import score_submission
from evaluator.cli import main
from evaluator.weights.miniature import write_miniature


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert "Traceback" not in result.output
    return result


@pytest.fixture(scope="module")
def packed(pack: Path, contest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("packed") / "refs.npz"
    result = run("references", "pack", contest / "references", "-o", path, "--weights", pack)
    assert result.exit_code == 0, result.output
    assert "2 styles, 8 references" in result.output
    return path


def test_a_pack_gives_the_figures_of_the_folder(pack, contest, packed, report, tmp_path):
    other = score_submission(contest / "outputs", references=packed, weights=pack, cache=False, out=tmp_path / "report")
    for part in ("scores", "styles"):
        ours, folder = asdict(other)[part], asdict(report)[part]
        for key in folder:
            assert ours[key] == pytest.approx(folder[key], abs=1e-6)
    assert other.intervals["final"] == pytest.approx(report.intervals["final"], abs=1e-6)
    assert other.provenance.references.sha256 == report.provenance.references.sha256
    assert other.contest == report.contest == "references"
    assert not (tmp_path / "report" / "thumbnails" / "references").exists()
    assert len(list((tmp_path / "report" / "thumbnails" / "outputs").rglob("*.webp"))) == 12


def test_a_pack_serves_the_extras_and_single_styles_too(pack, contest, packed):
    folder, other = (
        score_submission(
            contest / "outputs", references=place, weights=pack, styles=["01"], extras=["corrected"], write=False
        )
        for place in (contest / "references", packed)
    )
    assert asdict(other.corrected) == pytest.approx(asdict(folder.corrected), abs=1e-6)
    assert other.extras["kid"].total == pytest.approx(folder.extras["kid"].total, abs=1e-6)


def test_equal_references_give_equal_bytes_and_hold_no_picture(pack, contest, packed, tmp_path):
    again = tmp_path / "again.npz"
    assert (
        run("references", "pack", contest / "references", "-o", again, "--weights", pack, "--no-cache").exit_code == 0
    )
    assert again.read_bytes() == packed.read_bytes()
    with np.load(packed) as arrays:
        sizes = {name: array.shape for name, array in arrays.items() if "map" not in name}
        header = json.loads(arrays["header.json"].tobytes())
    assert max(int(np.prod(shape)) for name, shape in sizes.items() if name != "header.json") <= 4096 + 72
    assert header["profile"] == "official-2024"
    assert set(header["pictures"]["00"]) == {"river.png", "star.png", "cow.png", "boat.png"}


def test_a_pack_of_other_weights_or_another_profile_is_refused(pack, contest, packed, tmp_path):
    write_miniature(tmp_path / "other", seed=12)
    with pytest.raises(UserError, match=r"made with other weights for dinov2 .*make it again"):
        score_submission(contest / "outputs", references=packed, weights=tmp_path / "other", write=False)
    with pytest.raises(UserError, match=r"made with another (positions|processor) .*profile official-2024"):
        score_submission(contest / "outputs", references=packed, weights=pack, profile="official-2025", write=False)
    with pytest.raises(UserError, match="style 07 is not among"):
        score_submission(contest / "outputs", references=packed, weights=pack, styles=["07"], write=False)


def test_damaged_packs_are_refused_in_one_line(pack, contest, packed, tmp_path):
    data = packed.read_bytes()
    broken = tmp_path / "broken.npz"
    cases = [b"", b"PK\x03\x04", data[: len(data) // 2], b"no zip at all"]
    random = np.random.default_rng(0)
    for place in random.integers(0, len(data), 12):
        cases.append(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
    refused = 0
    for content in cases:
        broken.write_bytes(content)
        result = run("score", contest / "outputs", "--references", broken, "--weights", pack, "--out", tmp_path / "out")
        if result.exit_code == 2:  # a flipped bit in the zip's own padding or dates harms nothing
            refused += 1
            assert len(result.output.strip().splitlines()) == 1
        else:
            assert "0.235513" in result.output
    assert refused >= 14


def test_an_array_that_was_exchanged_is_noticed(pack, contest, packed, tmp_path):
    with np.load(packed) as stored:
        arrays = dict(stored)
    arrays["dinov2/00/direction"] = arrays["dinov2/01/direction"]
    np.savez(tmp_path / "forged.npz", **arrays)
    with pytest.raises(UserError, match="dinov2/00/direction is damaged"):
        score_submission(contest / "outputs", references=tmp_path / "forged.npz", weights=pack, write=False)
    header = json.loads(arrays["header.json"].tobytes())
    arrays["header.json"] = np.frombuffer(json.dumps({**header, "format": 2}).encode(), np.uint8)
    np.savez(tmp_path / "newer.npz", **arrays)
    with pytest.raises(UserError, match="another format"):
        score_submission(contest / "outputs", references=tmp_path / "newer.npz", weights=pack, write=False)


def test_misuse(pack, contest, tmp_path):
    result = run("references", "pack", contest / "references", "-o", tmp_path / "refs", "--weights", pack)
    assert (result.exit_code, "must end in .npz" in result.output) == (2, True)
    given = ("-o", tmp_path / "r.npz", "--weights", pack)
    result = run("references", "pack", contest / "references", *given, "--precision", "float16")
    assert (result.exit_code, "float32" in result.output) == (2, True)
    result = run("references", "pack", tmp_path / "nowhere", *given)
    assert (result.exit_code, "no such references folder" in result.output) == (2, True)
