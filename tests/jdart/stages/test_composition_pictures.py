"""Where the pictures lie that a composition is learnt from."""

from pathlib import Path

import pytest

from contest.definition import Contest
from jdart.config import CompositionConfig, load_config
from jdart.data.captions import Picture
from jdart.runs.folder import RunFolder
from jdart.runs.job import Job
from jdart.stages.composition import pictures_to_draw


@pytest.mark.parametrize(
    ("names", "folders"),
    [
        (["cow.png", "star.jpg", "wheat_field.png"], ["cow", "star", "wheat_field"]),
        (["a.jpg", "a.png", "b.png"], ["a.jpg", "a.png", "b"]),
        (["a.jpg", "a.png", "a.png.png"], ["a.jpg", "a.png", "a.png.png"]),
        (["a.b.png", "a.png"], ["a.b", "a"]),
    ],
)
def test_each_reference_has_a_folder_of_its_own_by_its_stem_where_that_is_its_alone(names, folders, tmp_path):
    pictures = tuple(Picture(Path("references", name), "cow", "a cow") for name in names)
    job = Job(
        load_config("demo"), RunFolder(tmp_path), Contest("small", {"00": ("Dog",)}), {"00": pictures}, None, None
    )
    settings = CompositionConfig(pictures=2, keep=2, strength_min=0.75, strength_max=0.75)
    drawn = list(pictures_to_draw(job, "00", settings))
    assert [picture.path.name for picture, _, _ in drawn] == names
    places = tmp_path / "composition" / "pictures" / "00"
    assert [list(wanted) for *_, wanted in drawn] == [
        [places / folder / "0.png", places / folder / "1.png"] for folder in folders
    ]
