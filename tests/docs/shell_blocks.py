"""What the documentation tells its reader to type: lines of indented blocks, and code in running text.

A block whose lines the tests cannot run as they stand has marks right before it, comments that a reader does not see:

    <!-- hub: pip install -->                               wants the network: PyPI, GitHub, the hub
    <!-- gpu -->                                            wants a GPU
    <!-- elsewhere tests/integration/test_demo.py -->       this test runs it, in its own way

Behind a colon stands how the lines begin that are meant, several separated by ";"; without it the block is meant whole.
"""

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "data" / "README.md", ROOT / "benchmarks" / "README.md"]
)
PROGRAMS = ("jdart", "jdart-submit", "jdart-eval", "jdart-board", "jdart-organise")
SHELL = (*PROGRAMS, "pip", "make", "rm", "cp", "git", "awk", "docker", "pytest", "python")
MARK = re.compile(r"<!-- (hub|gpu|elsewhere)(?: ([^\s:]+))?(?:: (.+))? -->")


@dataclass(frozen=True)
class Mark:
    """Why lines of the block below are not run as they stand: "hub", "gpu", or "elsewhere" with the test's file."""

    kind: str
    test: Optional[str]
    begins: tuple

    def means(self, text):
        return text.startswith(self.begins) if self.begins else True


@dataclass(frozen=True)
class Line:
    """A command, where it stands, its mark, and whether it is only quoted in running text."""

    page: Path
    number: int
    words: tuple
    text: str
    quoted: bool
    mark: Optional[Mark] = None

    def __str__(self):
        return f"{os.path.relpath(self.page, ROOT)}:{self.number}: {self.text}"


def marks_of(page):
    """Every mark of a page."""
    return [_mark(found) for found in map(MARK.fullmatch, page.read_text("utf-8").splitlines()) if found is not None]


def lines_of(page):
    """Every command of a page, in its order."""
    found, marks, inside = [], [], False
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        block, mark = line.startswith("    "), MARK.fullmatch(line)
        if mark is not None:
            marks, inside = [*(() if inside else marks), _mark(mark)], False
        elif line and not block:
            marks = []
        inside = block or (inside and not line)
        texts = [(line, False)] if block else [(one, True) for one in re.findall(r"`([^`]+)`", line)]
        for text, quoted in texts:
            text = re.sub(r"\s+#.*", "", text).strip()
            if re.match(rf"({'|'.join(SHELL)}) \S", text):
                words = tuple(shlex.split(text.split(" > ")[0]))
                why = None if quoted else next((mark for mark in marks if mark.means(text)), None)
                found.append(Line(page, number, words, text, quoted, why))
    return found


def _mark(found):
    return Mark(found[1], found[2], tuple(one.strip() for one in (found[3] or "").split(";") if one.strip()))
