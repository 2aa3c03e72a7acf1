import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner
from rich.cells import cell_len
from tiny_entry import CONTEST, png

from contest.findings import CHECKS, finding
from submission.cli import main
from submission.telling.formats import as_json, as_lines, findings_schema, verdict
from submission.telling.github import append_summary, as_annotations, as_markdown

MANY = [finding("S103", f"00/Extra {i:02}.png", "is no prompt of this style") for i in range(40)]
COPY = finding("S212", "01/Sun.png", "looks like the reference sun.png")
ALL_CODES = [finding(code, f"00/{code} {i}.png", "is wrong " * 9) for code in CHECKS for i in range(9)]


def test_schema_is_published_and_describes_what_is_written():
    from submission.telling import formats

    published = json.loads(Path(formats.__file__).with_name("findings.schema.json").read_text("utf-8"))
    assert published == findings_schema()
    jsonschema.Draft202012Validator.check_schema(published)
    value = json.loads(as_json("entry", CONTEST, [*MANY, COPY, finding("S301", "manifest.json", "is not there")]))
    jsonschema.validate(value, published)
    assert (value["errors"], value["warnings"]) == (41, 1)
    assert value["counts"] == {"S103": 40, "S212": 1, "S301": 1}
    assert [one["style"] for one in value["findings"][-2:]] == ["01", None]
    del value["findings"][0]["severity"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(value, published)


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("findings", [MANY, ALL_CODES, [finding("S103", f"00/{'x' * 3000}", "is long")] * 9])
def test_a_style_takes_one_screen_at_most(findings, width):
    lines = [line for _, line in as_lines(findings, width)]
    assert lines[0] == f"style 00: {len(findings)} findings"
    assert sum(max(1, -(-cell_len(line) // width)) for line in lines) <= 24


@pytest.mark.parametrize("findings", [MANY[:1], MANY, ALL_CODES], ids=["one", "many", "all codes"])
def test_however_narrow_the_terminal_the_findings_are_shown(findings):
    for width in range(-1, 41):
        roles = [role for role, _ in as_lines(findings, width)]
        assert roles[0] == "style" and "error" in roles, width
    assert list(as_lines(findings, 1)) == list(as_lines(findings, 20))


def test_a_heading_that_fills_a_screen_stays():
    long = "x" * 3000
    found = [finding(code, f"{long}/{i}.png", "is wrong") for code in CHECKS for i in range(9)]
    lines = [line for _, line in as_lines(found, 40)]
    assert lines[0] == f"style {long}: {len(found)} findings"


def test_wide_letters_take_two_columns():
    findings = [finding("S103", f"00/{'小狗' * 30}{i}.png", "is no prompt of this style") for i in range(9)]
    lines = [line for _, line in as_lines(findings, 80)]
    assert sum(-(-cell_len(line) // 80) for line in lines) <= 24
    assert "S103 extra picture (9)" in lines[1]


def test_text_has_counts_names_and_hints_where_there_is_room():
    roles = list(as_lines([*MANY, COPY, finding("S107", "notes.txt", "lies outside")], 80))
    assert [line for role, line in roles if role == "style"] == [
        "entry: 1 finding",
        "style 00: 40 findings",
        "style 01: 1 finding",
    ]
    assert ("error", "  S103 extra picture (40)") in roles
    assert ("warning", "  S212 copy of a reference") in roles
    assert sum(role == "item" for role, _ in roles) == 1 + 7 + 1  # six names, and how many more
    assert ("hint", f"    -> {CHECKS['S212'].hint}") in roles


def test_errors_come_before_warnings():
    codes = [line.split()[0] for role, line in as_lines(ALL_CODES, 120) if role in ("error", "warning")]
    severities = [CHECKS[code].severity for code in codes]
    assert severities == sorted(severities)


def test_verdict():
    assert verdict([]) == "good"
    assert verdict([COPY]) == "good, 1 warning"
    assert verdict([*MANY, COPY]) == "40 errors, 1 warning"
    assert verdict(MANY[:1]) == "1 error"


def unescaped(text):
    for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, character)
    return text


def test_annotations_are_aggregated_and_at_most_ten(tmp_path):
    styles = [finding("S101", f"{number:02}/", "is not there") for number in range(30)]
    lines = as_annotations(tmp_path, [*styles, *MANY, COPY])
    assert len(lines) == 10
    assert lines[0].startswith(f"::error file={tmp_path}/00,title=")
    assert lines[-1].startswith(f"::error file={tmp_path},title=")
    assert f"{len(styles) + len(MANY) + 1 - sum_of(lines[:-1])} findings" in lines[-1]
    few = as_annotations(tmp_path, [*MANY, COPY])
    assert [line.split(" ")[0] for line in few] == ["::error", "::warning"]
    assert "style 00%3A S103 extra picture (40)" in few[0]
    assert unescaped(few[0]).count("is no prompt of this style") == 6 and "34 more" in few[0]


def sum_of(lines):
    return sum(40 if "(40)" in line else 1 for line in lines)


def test_annotations_cannot_be_broken_out_of(tmp_path):
    name = "00/50%, a:b\r\n::error::x\x1b.png"
    (line,) = as_annotations(tmp_path, [finding("S103", name, "is no prompt")])
    assert "\n" not in line and "\r" not in line and "\x1b" not in line
    properties, _, message = line[2:].partition("::")
    assert unescaped(message).startswith("00/50%, a:b\\r\\n::error::x\\x1b.png is no prompt\n-> remove it")
    file, title = properties.removeprefix("error ").split(",")
    assert unescaped(file) == f"file={tmp_path}/00/50%, a:b\\r\\n::error::x\\x1b.png"
    assert unescaped(title) == "title=style 00: S103 extra picture"


def test_archive_itself_is_annotated(tmp_path):
    (line,) = as_annotations(tmp_path / "entry.zip", [COPY])
    assert line.startswith(f"::warning file={tmp_path}/entry.zip,title=style 01%3A S212")


def test_summary_lists_everything_and_is_markdown_that_names_cannot_steer(tmp_path):
    hostile = finding("S107", "a|b`c`<img src=x>[d](e)*f*.txt", "is not a picture")
    text = as_markdown(tmp_path, CONTEST, [*MANY, COPY, hostile], 1 << 20)
    assert text.count("| S103 error | 00/Extra ") == 40
    assert "| S212 warning | 01/Sun.png |" in text
    assert "<" not in text and "`" not in text
    (row,) = [line for line in text.splitlines() if "S107 error" in line]
    assert row.count("|") == 4


def test_summary_stays_within_what_github_takes(tmp_path):
    path = tmp_path / "summary.md"
    path.write_bytes(b"earlier\n" * 1000)
    many = [finding("S103", f"00/{'x' * 180}{i:05}.png", "is no prompt of this style") for i in range(9000)]
    append_summary(path, tmp_path, CONTEST, many)
    size = path.stat().st_size
    assert (1 << 20) - 2000 < size <= 1 << 20
    text = path.read_text("utf-8")
    assert text.startswith("earlier\n")
    assert f"{9000 - text.count('| S103 error |')} more findings do not fit here" in text
    path.write_bytes(b"x" * (1 << 20))
    append_summary(path, tmp_path, CONTEST, many)
    assert path.stat().st_size == 1 << 20


def call(*arguments, **variables):
    return CliRunner().invoke(main, [str(one) for one in arguments], env=variables)


@pytest.fixture
def contest_file(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text('name: tiny\nstyles: {"00": [Dolphin, Ice cream], "01": [Sun]}\n')
    return path


def test_github_from_the_command_line(entry, contest_file, tmp_path):
    summary = tmp_path / "summary.md"
    (entry / "00" / "Cat.png").write_bytes(png())
    result = call("check", entry, "--contest", contest_file, "--format", "github", GITHUB_STEP_SUMMARY=str(summary))
    assert result.exit_code == 1
    assert result.stdout.startswith(f"::error file={entry}/00/Cat.png,title=style 00%3A S103 extra picture::")
    assert "| S103 error | 00/Cat.png |" in summary.read_text("utf-8")
    (entry / "00" / "Cat.png").unlink()
    result = call("check", entry, "--contest", contest_file, "--format", "github", GITHUB_STEP_SUMMARY="")
    assert (result.exit_code, "::" in result.stdout, "good" in result.stdout) == (0, False, True)


def test_warnings_alone_are_exit_0(entry, contest_file):
    (entry / "01" / "Sun.png").write_bytes(linear())
    result = call("check", entry, "--contest", contest_file)
    assert (result.exit_code, "good, 1 warning" in result.stdout, "S209" in result.stdout) == (0, True, True)


def test_terminal_without_unicode_gets_no_traceback(entry, contest_file):
    (entry / "00" / "Dolphin.png").rename(entry / "00" / "D\u043elphin.png")
    for form in ("text", "json", "github"):
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "from submission.cli import main; main()",
                "check",
                entry,
                "--contest",
                contest_file,
                "--format",
                form,
            ],
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
            capture_output=True,
            check=False,
        )
        assert (done.returncode, b"S111" in done.stdout, done.stderr) == (1, True, b"")


def linear():
    from tiny_entry import chunk

    whole = png(seed=5)
    return whole[:33] + chunk(b"gAMA", (100000).to_bytes(4, "big")) + whole[33:]
