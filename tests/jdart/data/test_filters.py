"""Which pictures are left out together, beside the facts of Data-Juicer's two filters; and what is kept of the rest."""

import csv
import itertools
import json

import pytest
from click.testing import CliRunner
from PIL import Image

from contest.errors import UserError
from jdart.cli import main
from jdart.config.sections.data import DataConfig
from jdart.data.facts import style_pictures

RULES = {"min_size": 10, "min_aspect": 0.5, "max_aspect": 2.0, "captions": "jsonl"}
SIZES = [(10, 10), (9, 40), (10, 20), (10, 21), (40, 12), (24, 12), (30, 9)]


def sample(folder, sizes):
    """One row with a picture of each size."""
    folder.mkdir(parents=True)
    names = [f"{number}.png" for number in range(len(sizes))]
    for name, size in zip(names, sizes):
        Image.new("RGB", size).save(folder / name)
    (folder / "metadata.jsonl").write_text(json.dumps({"text": "二次元", "images": [f"/far/{name}" for name in names]}))
    return folder


def data_juicer(sizes, any_or_all):
    """Whether a sample stays, as image_shape_filter (min_width, min_height) and then image_aspect_ratio_filter say.

    Facts of data_juicer/ops/filter: each filter looks at all of a sample's pictures; the limits themselves pass; the
    aspect is width by height; "any" needs one picture that passes, "all" every one.
    """
    enough = {"any": any, "all": all}[any_or_all]
    shape = [w >= 10 and h >= 10 for w, h in sizes]
    ratio = [0.5 <= w / h <= 2.0 for w, h in sizes]
    return enough(shape) and enough(ratio)


@pytest.mark.parametrize("any_or_all", ["any", "all"])
def test_samples_stay_as_data_juicer_keeps_them(any_or_all, tmp_path):
    config = DataConfig(**RULES, any_or_all=any_or_all)
    seen = set()
    for count in (1, 2):
        for sizes in itertools.product(SIZES, repeat=count):
            folder = sample(tmp_path / "_".join(f"{w}x{h}" for w, h in sizes), sizes)
            try:
                kept = [picture.path.name for picture in style_pictures(folder, "00", config)]
            except UserError as error:
                assert "every picture is left out" in str(error)
                kept = []
            expected = [f"{n}.png" for n in range(count)] if data_juicer(sizes, any_or_all) else []
            assert kept == expected, sizes
            seen.add(bool(kept))
    assert seen == {True, False}


def test_any_and_all_differ_and_each_filter_asks_anew(tmp_path):
    """One picture passes the one filter, the other the other: any keeps the sample, all does not."""
    sizes = [(40, 12), (9, 9)]
    assert data_juicer(sizes, "any")
    assert not data_juicer(sizes, "all")
    folder = sample(tmp_path / "both", sizes)
    assert len(style_pictures(folder, "00", DataConfig(**RULES))) == 2


def raw_pictures(folder):
    folder.mkdir()
    for name, size in {"a": (1024, 1024), "b": (1023, 1024), "c": (1024, 2048), "d": (1024, 2049)}.items():
        Image.new("RGB", size, "white").save(folder / f"{name}.jpg")
    return folder


def keep(tmp_path, *more):
    (tmp_path / "story.txt").write_text("\n".join(f"第{n}幅" for n in range(8)), "utf-8")
    command = ["data", "kolors", "--set", f"references={tmp_path / 'anime'}"]
    command += ["--set", f"story={tmp_path / 'story.txt'}", "--keep", str(tmp_path / "kept"), *more]
    return CliRunner().invoke(main, command)


def test_kept_pictures_come_with_their_captions_and_a_report(tmp_path):
    raw_pictures(tmp_path / "anime")
    caption = ("--set", "data.instance_prompt=二次元")
    result = keep(tmp_path, *caption)
    assert result.exit_code == 0, result.output
    assert "2 of 4 pictures kept" in result.output
    table = (tmp_path / "kept" / "metadata.csv").read_bytes()
    assert table.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(table.decode("utf-8-sig").splitlines()))
    assert rows == [{"file_name": name, "text": "二次元"} for name in ("a.jpg", "c.jpg")]
    assert (tmp_path / "kept" / "a.jpg").read_bytes() == (tmp_path / "anime" / "a.jpg").read_bytes()
    said = list(csv.DictReader((tmp_path / "kept-report.csv").read_text("utf-8-sig").splitlines()))
    assert [(row["file"], row["learnt"]) for row in said] == [
        *(("a.jpg", "yes"), ("b.jpg", "no"), ("c.jpg", "yes"), ("d.jpg", "no"))
    ]
    assert "data.min_size" in said[1]["why not"]
    assert "data.min_aspect" in said[3]["why not"]
    learnt = DataConfig(captions="csv", layout="folder")
    assert [one.caption for one in style_pictures(tmp_path / "kept", "kept", learnt)] == ["二次元", "二次元"]
    assert keep(tmp_path, *caption).exit_code == 0  # again: nothing changes


def test_nothing_of_the_users_is_replaced(tmp_path):
    raw_pictures(tmp_path / "anime")
    (tmp_path / "kept").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "kept" / "mine.png")
    result = keep(tmp_path)
    assert result.exit_code == 2
    assert "holds mine.png, which is not kept now; choose an empty folder" in result.output
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["mine.png"]
