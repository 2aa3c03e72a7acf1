"""Story files: prompts in their order, in Chinese too, and a line for each way one can be wrong."""

import pytest

from contest.errors import UserError
from jdart.config import from_mapping
from jdart.data.story import Part, read_story
from jdart.runs.folder import RunFolder, contest_of
from jdart.runs.story import with_parts

CHINESE = "二次元，一个紫色短发小女孩，在家中沙发上坐着"


def test_a_text_has_a_prompt_a_line(tmp_path):
    path = tmp_path / "story.txt"
    path.write_bytes(b"\xef\xbb\xbf# a day\r\n\r\n" + f"{CHINESE}\r\n  a fox:  it wakes \r\n".encode())
    assert read_story(str(path)) == (Part(CHINESE), Part("a fox: it wakes"))


def test_a_list_may_have_seeds_and_negative_prompts(tmp_path):
    path = tmp_path / "story.yaml"
    path.write_text(f"- {CHINESE}\n- {{prompt: a fox, seed: 0, negative_prompt: ''}}\n", "utf-8")
    assert read_story(str(path)) == (Part(CHINESE), Part("a fox", 0, ""))


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("s.txt", "青团和粽子".encode("gbk"), "probably GBK"),
        ("s.txt", b"a fox\n\na  fox\n", "line 3: the same prompt as line 1"),
        ("s.yaml", b"a: b", "must be a list of prompts"),
        ("s.yaml", b"- a girl: she sits\n- 3\n", "prompt 1: a girl: unknown; known are prompt, seed, negative_prompt"),
        ("s.yaml", b"- {prompt: a, seed: -1}\n- {prompt: b, seed: x}", "prompt 1: seed: -1 .*; prompt 2: seed: 'x'"),
        ("s.yaml", b"- ''", "prompt 1: is empty"),
        ("s.yaml", b"- [", "not YAML"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(name, data, said, tmp_path):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=said) as error:
        read_story(str(tmp_path / name))
    assert "\n" not in str(error.value)


def test_a_story_that_is_not_there():
    with pytest.raises(UserError, match="no such story; write a text with a prompt a line"):
        read_story("absent.txt")


def config_of(tmp_path, count, **more):
    path = tmp_path / "story.yaml"
    rows = "".join(f"- {{prompt: part {number}, seed: {number}}}\n" for number in range(count))
    path.write_text(rows, "utf-8")
    (tmp_path / "anime" / "00" / "images").mkdir(parents=True, exist_ok=True)
    settings = {"story": str(path), "references": str(tmp_path / "anime"), "output": str(tmp_path / "out")}
    return from_mapping({**settings, **more})


def test_seven_prompts_are_one_too_few(tmp_path):
    with pytest.raises(UserError, match="has 7 prompts; contest kolors-story asks for 8 or more, so add 1"):
        contest_of(config_of(tmp_path, 7))


def test_a_run_has_the_prompts_as_numbered_pictures_with_their_seeds(tmp_path):
    config = config_of(tmp_path, 9)
    contest = contest_of(config)
    prompts = tuple(f"part {number}" for number in range(9))
    assert dict(contest.styles) == {"00": prompts}
    assert contest.story.grid(9) == (5, 2)
    folder = RunFolder.of(config)
    assert folder.image("00", "part 8") == tmp_path / "out" / "images" / "09.png"
    own = with_parts(config, "00").overrides["00"].prompts
    assert [own[prompt].seed for prompt in prompts] == list(range(9))
    assert with_parts(with_parts(config, "00"), "00") == with_parts(config, "00")


def test_a_story_is_told_in_one_style(tmp_path):
    config = config_of(tmp_path, 8)
    (tmp_path / "anime" / "01" / "images").mkdir(parents=True)
    with pytest.raises(UserError, match="has the styles 00, 01; name the one to learn"):
        contest_of(config)
    with pytest.raises(UserError, match="a story is drawn in one, not in 00, 01"):
        contest_of(config_of(tmp_path, 8, styles=["00", "01"]))
    flat = config_of(tmp_path, 8, data={"layout": "folder"})
    assert list(contest_of(flat).styles) == ["anime"]
    with pytest.raises(UserError, match="contest toy is none of stories"):
        contest_of(config_of(tmp_path, 8, contest="toy"))
