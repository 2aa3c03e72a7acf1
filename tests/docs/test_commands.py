"""Every command in the documentation: its options are there, its settings are read, and it is run or marked.

What is not run here has a mark (`shell_blocks`): it takes the network or a GPU, or another test runs it. A block
without a mark that cannot be run fails.
"""

import configparser
import re
import shlex
import shutil
import textwrap
import zipfile
from pathlib import Path

import click
import numpy as np
import pytest
import yaml
from PIL import Image
from running import CLI, furnish, run_page, to_run
from shell_blocks import MARK, PAGES, PROGRAMS, ROOT, lines_of, marks_of

from evaluator.weights.miniature import write_miniature
from jdart.config import load_config, recipes, to_mapping

LINES = [line for page in PAGES for line in lines_of(page)]
TUTORIAL = ROOT / "docs" / "tutorial.md"
APART = [ROOT / "docs" / f"{name}.md" for name in ("tutorial", "tutorial.zh", "toy", "adding-a-contest", "organiser")]


def told(words, quoted):
    """The command that words call, with what its parser makes of them. click.UsageError: no such thing."""
    command, words = CLI[words[0]], list(words[1:])
    context = click.Context(command)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        inner = command.get_command(context, words[0])
        if inner is None:
            raise click.UsageError(f"no command {words[0]}")
        command, words = inner, words[1:]
        context = click.Context(command, parent=context)
    words = [word for word in words if word != "..."]
    given, rest, _ = command.make_parser(context).parse_args(words)
    if rest and not isinstance(command, click.Group):
        raise click.UsageError(f"too much: {rest}")
    for parameter in command.params:
        value = given.get(parameter.name)
        if value in (None, ()) or isinstance(value, bool) or "UNSET" in repr(value):
            if parameter.required and not quoted:
                raise click.UsageError(f"lacks {parameter.name}")
        elif isinstance(parameter.type, click.Choice):
            for one in value if isinstance(value, (tuple, list)) else (value,):
                parameter.type.convert(one, parameter, context)
    return command, given


@pytest.mark.parametrize("line", [line for line in LINES if line.words[0] in PROGRAMS], ids=str)
def test_its_command_and_options_are_there(line):
    try:
        told(line.words, line.quoted)
    except click.UsageError as error:
        pytest.fail(f"{line}: {error.format_message()}")


def test_a_wrong_line_is_found():
    for words in ("jdart trian x", "jdart run safe --devics 0", "jdart run", "jdart run a b", "jdart run a --device x"):
        with pytest.raises(click.UsageError):
            told(words.split(), quoted=False)


@pytest.mark.parametrize("line", [line for line in LINES if "--set" in line.words], ids=str)
def test_its_settings_are_read(line):
    _, given = told(line.words, line.quoted)
    recipe = given.get("config")
    load_config(recipe if recipe in recipes() else "demo", given["overrides"])


def test_targets_and_extras_are_there():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    extras = set(config["options.extras_require"])
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in LINES:
        if line.words[0] == "make":
            named = {word for word in line.words[1:] if "=" not in word}
            assert named <= targets, line
        elif line.words[:2] == ("pip", "install"):
            for group in re.findall(r"(?:jdart|\.)\[([\w,]+)\]", line.text):
                assert set(group.split(",")) <= extras, line


def test_files_that_are_run_are_there():
    files = [
        (line, word)
        for line in LINES
        if line.words[0] in ("pytest", "python")
        for word in line.words[1:]
        if word.startswith(("tests/", "benchmarks/"))
    ]
    assert files
    for line, file in files:
        assert (ROOT / file).exists(), line


def test_the_tutorials_have_the_same_commands():
    english, chinese = (
        [line.text for line in lines_of(page) if not line.quoted] for page in (TUTORIAL, TUTORIAL.with_suffix(".zh.md"))
    )
    assert english == chinese


def test_every_mark_means_something():
    """A typing error in a mark, and one whose commands are gone or run elsewhere by nobody, are found."""
    for page in PAGES:
        meant = [line.mark for line in lines_of(page) if line.mark is not None]
        for mark in marks_of(page):
            assert mark in meant, (page, mark)
        comments = [line for line in page.read_text("utf-8").splitlines() if line.startswith("<!--")]
        assert all(MARK.fullmatch(line) for line in comments), (page, comments)
    for line in LINES:
        if line.mark is not None and line.mark.kind == "elsewhere":
            test = (ROOT / line.mark.test).read_text("utf-8")
            assert any(Path(word).stem in test for word in line.words[1:]), line
        elif line.mark is not None:
            assert line.mark.test is None, line


def test_a_block_without_a_mark_is_run(tmp_path):
    """The marks reach their own block and its own lines, no further."""
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- hub: pip; jdart run -->\n<!-- gpu: jdart train -->\n\n    pip install x\n    jdart run a\n\n"
        "    jdart train a\n    jdart doctor\n\nText.\n\n    jdart run b\n<!-- hub -->\n\n    jdart plan c\n\n"
        "Text\n\n    jdart-eval gone\n"
    )
    kinds = [None if line.mark is None else line.mark.kind for line in lines_of(page)]
    assert kinds == ["hub", "hub", "gpu", None, None, "hub", None]
    page.write_text("    jdart-eval gone\n")
    with pytest.raises(AssertionError, match="jdart-eval gone"):
        run_page(page, tmp_path, tmp_path)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with what the pages take for granted, its cache, and the commands that were run in it."""
    folder = tmp_path_factory.mktemp("place")
    furnish(folder, folder / ".cache")
    return folder, folder / ".cache", set()


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page not in APART and any(to_run(line) for line in lines_of(page))],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_the_commands_of_a_page_run(page, place):
    folder, cache, there = place
    run_page(page, folder, cache, there=there)
    there |= {line.text for line in lines_of(page) if to_run(line)}


@pytest.mark.slow
def test_the_commands_of_the_tutorial_run(tmp_path):
    """With fewer steps than it says."""
    run_page(
        TUTORIAL,
        tmp_path,
        tmp_path / "cache",
        lambda text: text.replace("train.steps=100", "train.steps=2 --set generate.steps=2"),
        shell=True,
    )
    with Image.open(tmp_path / "again.png") as again, Image.open(tmp_path / "outputs/mine/images/00/Cat.png") as cat:
        assert again.tobytes() == cat.tobytes()
    assert (tmp_path / "board" / "index.html").is_file()


@pytest.mark.slow
def test_the_commands_of_the_toy_lab_run(tmp_path):
    """With a training of two steps."""
    few = load_config("demo", ["train.steps=2", "generate.steps=2"])
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(to_mapping(few)), "utf-8")
    run_page(ROOT / "docs" / "toy.md", tmp_path, tmp_path / "cache", shell=True)
    assert (tmp_path / "board" / "index.html").is_file()


def draw(path, seed, side):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (side // 8, side // 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((side, side)).save(path)


def test_the_commands_of_a_contest_run(tmp_path):
    page = ROOT / "docs" / "adding-a-contest.md"
    text = page.read_text("utf-8")
    rules = textwrap.dedent(text[text.index("    name: garden") : text.index("\n\nIts references")])
    (tmp_path / "garden.yaml").write_text(rules)
    pictures = [(style, name) for style, names in yaml.safe_load(rules)["styles"].items() for name in names]
    for seed, (style, name) in enumerate(pictures):
        draw(tmp_path / "entry" / style / f"{name}.png", seed, 512)
    run_page(page, tmp_path, tmp_path / "cache")


def test_the_commands_of_an_organiser_run(tmp_path):
    """With a contest of two pictures and miniature networks."""
    styles = {"00": ["Rose", "Tulip"]}
    (tmp_path / "contest.yaml").write_text(yaml.safe_dump({"name": "ours", "styles": styles}))
    for seed in range(3):
        draw(tmp_path / "references" / "00" / "images" / f"oak {seed}.png", seed, 64)
    (tmp_path / "references" / "00" / "prompt.json").write_text('{"0": "Rose", "1": "Tulip"}')
    (tmp_path / "inbox").mkdir()
    with zipfile.ZipFile(tmp_path / "entry.zip", "w") as archive:
        for seed, name in enumerate(styles["00"]):
            draw(tmp_path / "drawn" / f"{name}.png", 10 + seed, 64)
            archive.write(tmp_path / "drawn" / f"{name}.png", f"00/{name}.png")
    shutil.copy(tmp_path / "entry.zip", tmp_path / "inbox" / "first.zip")
    write_miniature(tmp_path / "weights", 11)
    run_page(ROOT / "docs" / "organiser.md", tmp_path, tmp_path / "cache")
    assert "Our contest" in (tmp_path / "site" / "index.html").read_text("utf-8")


def test_every_figure_on_the_page_of_numbers_has_the_command_that_makes_it():
    """Or is in a table whose next paragraph gives it; a benchmark's case is one of its program's."""
    paragraphs = (ROOT / "docs" / "numbers.md").read_text("utf-8").split("\n\n")
    tables = [number for number, text in enumerate(paragraphs) if "|---" in text]
    assert len(tables) == 3
    for number in tables:
        heading, *rows = [line for line in paragraphs[number].splitlines() if line.startswith("| ")]
        if not heading.endswith("made by |"):
            assert paragraphs[number + 1].startswith("made by `"), heading
            continue
        for row in rows:
            (command,) = re.findall(r"`([^`]+)` \|$", row)
            program, file, *options = shlex.split(command)
            assert program in ("pytest", "python") and (ROOT / file).exists(), row
            if "--case" in options:
                case = options[options.index("--case") + 1]
                assert f'"{case}"' in (ROOT / file).read_text("utf-8"), row
