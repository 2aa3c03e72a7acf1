import json
import pickle

import pytest

from contest.definition import Contest, Limits, Story
from submission import UserError, contest_from_references, load_contest, shipped_contests


def references(folder, prompts):
    for style, value in prompts.items():
        (folder / style / "images").mkdir(parents=True)
        (folder / style / "images" / "boat.png").write_bytes(b"")
        (folder / style / "prompt.json").write_text(value if isinstance(value, str) else json.dumps(value))
    return folder


def test_shipped_contests_load():
    assert shipped_contests() == ("jittor-2026", "jittor-style-a", "jittor-style-b", "kolors-story", "toy")
    board = load_contest("jittor-style-a")
    assert (board.name, len(board.styles), board.pictures, board.references) == (
        "jittor-style-a",
        15,
        375,
        10,
    )
    assert all(len(prompts) == 25 for prompts in board.styles.values())
    assert "Ice cream" in board.styles["07"]


def test_the_other_boards():
    board = load_contest("jittor-style-b")
    assert (len(board.styles), board.prompts, board.references) == (28, 25, 3)
    assert set(board.styles.values()) == {()}
    story = load_contest("kolors-story").story
    assert story == Story(8, "prompts.csv", "sheet.png", 4, 2, 6.0, 512)
    assert load_contest("kolors-story").pictures == 8
    toy = load_contest("toy")
    assert [len(prompts) for prompts in toy.styles.values()] == [25, 25, 25]
    assert all(len(set(prompts)) == 25 for prompts in toy.styles.values())


def test_prompts_that_come_with_the_references(tmp_path):
    path = tmp_path / "open.yaml"
    path.write_text('name: open\nversion: "7"\nprompts: 2\nreferences: 1\nstyles: ["00", "01"]\n')
    contest = load_contest(path)
    found = contest_from_references(
        references(tmp_path / "refs", {"00": {"0": "Sun", "1": "Dog"}, "01": {"0": "A", "1": "B"}})
    )
    filled = contest.with_prompts(found.styles)
    assert filled.styles == {"00": ("Sun", "Dog"), "01": ("A", "B")}
    assert (filled.version, filled.prompts, filled.pictures) == ("7", None, 4)
    with pytest.raises(UserError, match="style 01 is missing; style 02 is not one .*; style 00 has 1 prompts, not 2"):
        contest.with_prompts({"00": ("Sun",), "02": ("A", "B")})


def test_limits_and_sizes_come_from_the_file(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text('name: small\nsize: [512, 256]\nlimits: {files: 10, side: 600}\nstyles: {"00": [Dog]}\n')
    contest = load_contest(path)
    assert contest.size == (512, 256)
    assert contest.limits == Limits(files=10, side=600)
    assert contest.version == "1"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("size: [512]", "size must be"),
        ("size: 512", "size must be"),
        ("limits: 3", "limits must be a mapping of files, file_bytes"),
        ("limits: {files: 0}", "limits.files must be a whole number above 0"),
        ("limits: {colour: 1}", "unknown setting limits.colour"),
        ("version: 5", "version must be one line of text"),
        ("prompts: 3", "leave it out"),
        ("story: {pictures: 8}", "a story has no styles"),
    ],
)
def test_settings_of_the_wrong_kind(tmp_path, text, part):
    path = tmp_path / "bad.yaml"
    path.write_text(f'name: bad\nstyles: {{"00": [Dog]}}\n{text}\n')
    with pytest.raises(UserError, match=part):
        load_contest(path)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("story: 3", "story must be a mapping"),
        ("story: {}", "story.pictures is missing"),
        ("story: {pictures: many}", "story.pictures must be a whole number"),
        ("story: {pictures: 8, prompts: ../x.csv}", "story.prompts must be the name of a file"),
        ("story: {pictures: 8, aesthetic: high}", "story.aesthetic must be a number"),
        ("styles: []\nprompts: 3", "styles is empty"),
        ('styles: ["00", "00"]\nprompts: 3', "a style is given twice"),
        ("styles: [0]\nprompts: 3", "must be text in quotes"),
        ('styles: ["00"]', "prompts is missing"),
        ('styles: ["00"]\nprompts: 0', "prompts must be a whole number"),
    ],
)
def test_stories_and_open_styles_of_the_wrong_kind(tmp_path, text, part):
    path = tmp_path / "bad.yaml"
    path.write_text(f"name: bad\n{text}\n")
    with pytest.raises(UserError, match=part) as caught:
        load_contest(path)
    assert "\n" not in str(caught.value)


def test_file_by_path(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text('name: mine\nstyles:\n  "00": [Dolphin, Ice cream]\n')
    contest = load_contest(path)
    assert (contest.name, dict(contest.styles), contest.references) == (
        "mine",
        {"00": ("Dolphin", "Ice cream")},
        None,
    )
    assert pickle.loads(pickle.dumps(contest)) == contest  # worker processes get it


def test_all_problems_of_a_file_come_together(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(
        "colour: red\nreferences: 0\nstyles:\n  00: [Dog]\n"
        '  "01": [../Dog, Dog, dog, No, " Sun", A.B]\n  "02": []\n  "..": [Cat]\n'
    )
    with pytest.raises(UserError) as caught:
        load_contest(path)
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        str(path),
        "unknown setting colour",
        "name is missing",
        "references must be",
        "style 0 must be text in quotes",
        "'../Dog'",
        "'dog' is given twice",
        "prompt False must be text in quotes",
        "' Sun'",
        "'A.B'",
        "style 02: its prompts must be a list",
        "style '..'",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "expected name"),
        ("[1, 2]", "expected name"),
        ("name: [", "not valid YAML"),
        ("name: a\nname: b\n", "given twice"),
        ('name: a\nstyles:\n  "00": [A]\n  "00": [B]\n', "'00' is given twice"),
        ("name: a\nstyles: 3\n", "styles must map"),
        ("name: a\nstyles: {}\n", "styles is empty"),
        ("name: \xff", "not UTF-8 text"),
        ("!!python/object/apply:os.getcwd []", "not valid YAML"),
        ("[" * 3000, "not valid YAML"),
    ],
)
def test_broken_file_is_one_line(tmp_path, text, part):
    path = tmp_path / "bad.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=part) as caught:
        load_contest(path)
    assert "\n" not in str(caught.value)


def test_unknown_name_lists_those_that_exist():
    with pytest.raises(
        UserError, match="no contest nope; shipped: jittor-2026, jittor-style-a, jittor-style-b, kolors-story, toy"
    ):
        load_contest("nope")
    with pytest.raises(UserError, match="no such file"):
        load_contest("nope.yaml")


def test_references_folder(tmp_path):
    prompts = {"00": {str(i): f"Thing {i}" for i in (10, 2, 1, 0)}, "01": {"a": "Sun"}}
    folder = references(tmp_path / "mine", prompts)
    (folder / "README.md").write_text("kept beside the styles")
    (folder / ".cache").mkdir()
    contest = contest_from_references(folder)
    assert contest.name == "mine"
    assert contest.styles["00"] == ("Thing 0", "Thing 1", "Thing 2", "Thing 10")
    assert contest.references == 1
    (folder / "00" / "images" / "cow.png").write_bytes(b"")
    assert contest_from_references(folder, "other").references is None


def test_references_folder_problems_come_together(tmp_path):
    folder = references(tmp_path, {"00": "{", "01": "{}", "02": "[1]", "03": {"0": 5}, "04": {"0": "Sun"}})
    (folder / "05").mkdir()
    with pytest.raises(UserError) as caught:
        contest_from_references(folder)
    message = str(caught.value)
    for style in ("00", "01", "02", "03", "05"):
        assert style in message
    assert "no such file" in message and "not valid JSON" in message


def test_references_folder_missing_or_empty(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        contest_from_references(tmp_path / "nope")
    with pytest.raises(UserError, match="no style folders"):
        contest_from_references(tmp_path)


def test_subset_keeps_the_contests_order():
    contest = Contest("tiny", {"00": ("Dolphin", "Ice cream"), "01": ("Sun",)}, 3)
    assert list(contest.subset(["01", "00"]).styles) == ["00", "01"]
    assert contest.subset(["01"]).pictures == 1
    with pytest.raises(UserError, match="no style '07', '08'; it has 00, 01"):
        contest.subset(["07", "00", "08"])
    with pytest.raises(UserError, match="no style chosen"):
        contest.subset([])
