import json

import pytest

from contest.disk.yaml_file import parse_yaml, read_yaml
from contest.errors import UserError
from jdart.config.reading import load_config
from submission import contest_from_references, load_contest

READERS = [load_contest, load_config, read_yaml]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("data", "part"),
    [
        ("name: 青团\n".encode("utf-16"), "not UTF-8 text"),
        ("name: plain\n".encode("utf-16-le"), "not UTF-8 text"),
        ("name: 青团\n".encode("gbk"), "not UTF-8 text"),
        (b"name: a\nname: b\n", "'name' is given twice"),
        (b"train: {steps: 1, steps: 2}\n", "'steps' is given twice"),
        (b"name:\n\tx: 1\n", "not valid YAML"),
    ],
)
def test_every_reader_of_yaml_says_the_same(tmp_path, read, data, part):
    path = tmp_path / "file.yaml"
    path.write_bytes(data)
    with pytest.raises(UserError) as caught:
        read(str(path) if read is load_config else path)
    assert part in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_mark_before_the_text_is_passed_over(tmp_path):
    (tmp_path / "c.yaml").write_text('name: c\nstyles: {"00": [猫]}\n', "utf-8-sig")
    assert load_contest(tmp_path / "c.yaml").styles == {"00": ("猫",)}


def test_settings_on_the_command_line_are_read_alike():
    assert parse_yaml("[1, {a: b}]") == [1, {"a": "b"}]
    with pytest.raises(UserError, match="'a' is given twice"):
        load_config("demo", ["train={a: 1, a: 2}"])


def test_a_prompt_list_with_a_key_twice_is_refused(tmp_path):
    (tmp_path / "00").mkdir()
    (tmp_path / "00" / "prompt.json").write_text('{"0": "Cat", "0": "Dog"}')
    with pytest.raises(UserError, match="'0' is given twice"):
        contest_from_references(tmp_path)
    (tmp_path / "00" / "prompt.json").write_text(json.dumps({"0": "Cat", "1": "Dog"}))
    assert contest_from_references(tmp_path).styles == {"00": ("Cat", "Dog")}
