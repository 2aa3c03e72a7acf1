"""MVTec's folders: a style for each category and defect, and one clear line for a folder that lies otherwise."""

import pytest

from contest.disk.mvtec import defect_folder, defects_in, thing_of
from contest.errors import UserError
from contest.reading import contest_from_defects, contest_from_references


@pytest.fixture
def mvtec(tmp_path):
    """Two categories; what is no defect lies among them, too."""
    root = tmp_path / "data" / "mvtec"
    for place in (
        *("hazelnut/test/hole", "hazelnut/test/good", "hazelnut/train/good", "hazelnut/ground_truth/hole"),
        *("metal_nut/test/flip", "metal_nut/test/bent-edge", "metal_nut/test/GOOD", "metal_nut/train/good"),
    ):
        (root / place).mkdir(parents=True)
        (root / place / "000.png").touch()
    (root / "license.txt").touch()
    (root / "__MACOSX" / "test" / "x").mkdir(parents=True)
    return root


def test_each_defect_is_a_style_and_good_is_none(mvtec):
    styles = {"hazelnut-hole": "hazelnut", "metal_nut-bent-edge": "metal nut", "metal_nut-flip": "metal nut"}
    assert defects_in(mvtec) == styles
    places = [path.relative_to(mvtec).as_posix() for path in (defect_folder(mvtec, style) for style in styles)]
    assert places == ["hazelnut/test/hole", "metal_nut/test/bent-edge", "metal_nut/test/flip"]
    assert [thing_of(style) for style in styles] == list(styles.values())
    contest = contest_from_defects(mvtec)
    assert (contest.name, contest.pictures, contest.styles["metal_nut-flip"]) == ("mvtec", 3, ("metal nut",))
    assert contest_from_references(mvtec) == contest, "what run.json names is checked against by itself"


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("data/mvtec/hazelnut", "too low, name {}/data/mvtec and choose defects with styles, such as hazelnut-hole"),
        ("data/mvtec/metal_nut/test", "it lies too low, name {}/data/mvtec and choose"),
        ("data/mvtec/metal_nut/test/flip", "it lies too low, name {}/data/mvtec and choose"),
        ("data", "it lies too high, name {}/data/mvtec"),
        ("", "it lies too high, name {}/data/mvtec"),
        ("elsewhere", "name the folder of the categories, such as mvtec_anomaly_detection"),
        ("gone", "no such folder; name the one that holds MVTec's <category>/test/<defect>/*.png"),
        ("data/mvtec/license.txt", "a file; name the folder that holds MVTec's"),
    ],
)
def test_a_level_too_high_or_too_low_is_said_in_one_line(named, said, mvtec, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(UserError) as caught:
        defects_in(tmp_path / named)
    assert said.format(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_of_several_folders_below_one_is_an_example(mvtec, tmp_path):
    (tmp_path / "data" / "visa" / "candle" / "test" / "bad").mkdir(parents=True)
    with pytest.raises(UserError, match=r"name the folder of the categories, such as .*/data/mvtec$"):
        defects_in(tmp_path / "data")


def test_only_good_pictures_are_no_defects(tmp_path):
    (tmp_path / "hazelnut" / "test" / "good").mkdir(parents=True)
    with pytest.raises(UserError, match="every category has pictures in test/good alone"):
        defects_in(tmp_path)


def test_a_name_that_could_mean_two_defects_is_refused(tmp_path):
    (tmp_path / "wine-glass" / "test" / "hole").mkdir(parents=True)
    with pytest.raises(UserError, match="category wine-glass: '-' stands between category and defect; rename"):
        defects_in(tmp_path)


@pytest.mark.parametrize("style", ["00", "hazelnut-", "-hole"])
def test_a_style_of_another_kind_names_no_folder(style, tmp_path):
    with pytest.raises(UserError, match=f"style {style}: names no defect"):
        defect_folder(tmp_path, style)
