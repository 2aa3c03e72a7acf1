import json
import pickle

import pytest

from submission import UserError, contest_from_references, load_contest, shipped_contests


def references(folder, prompts):
    for style, value in prompts.items():
        (folder / style / "images").mkdir(parents=True)
        (folder / style / "images" / "boat.png").write_bytes(b"")
        (folder / style / "prompt.json").write_text(value if isinstance(value, str) else json.dumps(value))
    return folder


def test_shipped_contests_load():
    assert shipped_contests() == ("jittor-style-a", "sample")
    board = load_contest("jittor-style-a")
    assert (board.name, len(board.styles), board.pictures, board.references) == (
        "jittor-style-a",
        15,
        375,
        10,
    )
    assert all(len(prompts) == 25 for prompts in board.styles.values())
    assert "Ice cream" in board.styles["07"]


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
    with pytest.raises(UserError, match="no contest nope; shipped: jittor-style-a, sample"):
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


def test_subset_keeps_the_contests_order(contest):
    assert list(contest.subset(["01", "00"]).styles) == ["00", "01"]
    assert contest.subset(["01"]).pictures == 1
    with pytest.raises(UserError, match="no style '07', '08'; it has 00, 01"):
        contest.subset(["07", "00", "08"])
    with pytest.raises(UserError, match="no style chosen"):
        contest.subset([])
