"""What the documentation tells its reader to type: lines of indented blocks, and code in running text."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "data" / "README.md", ROOT / "benchmarks" / "README.md"]
)
PROGRAMS = ("jdart", "jdart-submit", "jdart-eval", "jdart-board")
SHELL = (*PROGRAMS, "pip", "make", "rm", "pytest", "python")


@dataclass(frozen=True)
class Line:
    """A command, where it stands, and whether it is only quoted in running text."""

    page: Path
    number: int
    words: tuple
    text: str
    quoted: bool

    def __str__(self):
        return f"{self.page.relative_to(ROOT)}:{self.number}: {self.text}"


def lines_of(page):
    """Every command of a page, in its order."""
    found = []
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        texts = [(line, False)] if line.startswith("    ") else [(one, True) for one in re.findall(r"`([^`]+)`", line)]
        for text, quoted in texts:
            text = re.sub(r"\s+#.*", "", text).strip()
            if re.match(rf"({'|'.join(SHELL)}) \S", text):
                words = shlex.split(text.split(" > ")[0])
                found.append(Line(page, number, tuple(words), text, quoted))
    return found
