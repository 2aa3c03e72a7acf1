"""Every finding a check can make: its stable code, its title and what to do about it.

A code is never used again for something else. Adding one: a line here, the rule in checker.py (names), pictures.py
(bytes), story.py (stories), package/checker.py (code) or zips.py (archives), and a row in the table of its test, for
archives in hostile_zips.py beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from contest.entry import cures

ERROR, WARNING = "error", "warning"
_BUILD = "jdart-submit build FOLDER -o entry.zip --force"


@dataclass(frozen=True)
class Check:
    """One kind of finding. An "error" makes the entry bad; a "warning" is for a person to judge."""

    code: str
    title: str
    hint: str
    severity: str = ERROR


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: data, not an exception.

    `path` is relative to the entry; the one of a folder ends in "/". `message` says what is wrong with it.
    """

    code: str
    path: str
    message: str
    hint: str
    severity: str = ERROR

    def __str__(self) -> str:
        return f"{self.code} {self.path} {self.message}"

    @property
    def style(self) -> str | None:
        """The first folder of `path`, or None for a file that lies in none."""
        return self.path.split("/")[0] if "/" in self.path else None

    @property
    def title(self) -> str:
        """The title of the finding's code."""
        return CHECKS[self.code].title


CHECKS = {
    check.code: check
    for check in (
        Check("S101", "missing style folder", "generate this style, or check fewer with --styles"),
        Check("S102", "missing picture", "generate it; the checker does not say that it is missing"),
        Check("S103", "extra picture", "remove it; the checker would score it as one more picture"),
        Check("S104", "wrong case", "rename it; names are compared letter by letter"),
        Check("S105", "wrong spelling", "rename it to the prompt as it is written in prompt.json"),
        Check("S106", "unknown folder", "remove it; the checker takes every folder for a style"),
        Check("S107", "stray file", "remove it; the checker takes every file for a picture"),
        Check("S108", "hidden or system file", "remove it; build never packs such files"),
        Check("S109", "duplicate name", "keep one of them"),
        Check(
            "S110", "one folder too deep", "put what is inside it at the top: zip what is inside, not the folder itself"
        ),
        Check("S111", "look-alike letters", "rename it; type the name instead of copying it from elsewhere"),
        Check("S112", "other normal form", "rename it; the same letters are stored as other code points (NFC, NFD)"),
        Check("S113", "case collision", "keep one of them; Windows and macOS cannot hold both"),
        Check("S201", "not a PNG", "save it as PNG; renaming a file does not make it one"),
        Check("S202", "not 8-bit RGB", "convert it to 8-bit RGB once it can be read"),
        Check("S203", "broken picture", "it was cut short or damaged; generate or copy it again"),
        Check("S204", "different size", "make all pictures of the entry one size"),
        Check("S205", "EXIF orientation", cures.TURN),
        Check("S206", "data after the picture", cures.SAVE_ANEW),
        Check("S207", "picture too large", "save it without what is beside the pixels, compressed, or smaller"),
        Check("S208", "animated", cures.FIRST_FRAME),
        Check("S209", "colour profile", "convert the pixels to sRGB and save without a profile", WARNING),
        Check("S210", "blank picture", "generate it again; a safety filter or overflow leaves such pictures"),
        Check("S211", "same picture twice", "generate one of them again; two prompts cannot have equal pixels"),
        Check("S212", "copy of a reference", "look at both; an output must be drawn, not copied", WARNING),
        Check(
            "S213",
            "prompt of another picture",
            "look at it; the prompt stored in the file names another object than its file name",
            WARNING,
        ),
        Check("S214", "metadata too large", cures.WITHOUT_NOTES),
        Check("S215", "reference not compared", "put the contest's references there, as pictures", WARNING),
        Check(
            "S216",
            "post-processed",
            "the edition's rules may forbid it; read them, or draw again without generate.colour.finish",
            WARNING,
        ),
        Check("S301", "no manifest", f"build the archive of its folder: {_BUILD}"),
        Check("S302", "manifest not readable", f"build the archive of its folder again: {_BUILD}"),
        Check("S303", "not what the manifest says", "the file was changed after the build; build again"),
        Check("S304", "not in the manifest", "the file was added after the build; build again"),
        Check("S305", "only in the manifest", "the file was removed after the build; build again"),
        Check("S306", "built for another contest", "verify with the contest it was built for, or build again"),
        Check("S307", "archive changed", f"its files are whole but it was repacked or damaged, build again: {_BUILD}"),
        Check("S401", "broken archive", "it was cut short or damaged; copy it again or zip it again"),
        Check("S402", "name leads out of the archive", "zip the style folders from inside the folder that holds them"),
        Check("S403", "name that readers disagree about", "rename it, and zip with a tool that writes names as UTF-8"),
        Check("S404", "link or special file", "put the file itself there"),
        Check("S405", "encrypted", "zip it again without a password"),
        Check("S406", "unusual compression", "zip it again, deflated or not compressed at all"),
        Check("S407", "entries that overlap", "no honest program writes this; zip the pictures again"),
        Check("S408", "headers that contradict each other", "readers would disagree about it; zip the pictures again"),
        Check("S409", "more than the limits", "leave out what does not belong to the entry"),
        Check("S410", "packed too tightly", "no picture shrinks like that; leave it out"),
        Check("S411", "archive in the archive", "put the pictures themselves there"),
        Check("S412", "damaged in the archive", "its bytes changed after it was zipped; copy or zip it again"),
        Check("S413", "bytes outside the entries", "zip the pictures again with nothing before, between or after them"),
        Check("S414", "archive in several parts", "zip everything into one file"),
        Check("S308", "score of other pictures", "score these pictures and build again"),
        Check("S309", "LoRA of another run", "put back the LoRA that drew these pictures, or draw them again"),
        Check("S501", "too few pictures", "draw more; a story shorter than the contest asks for does not count"),
        Check("S502", "no prompts", "write a CSV file with the line file,prompt and one row for each picture"),
        Check("S503", "prompts not readable", "save it as CSV UTF-8: the line file,prompt, then a row a picture"),
        Check("S504", "picture without a prompt", "add its row to the prompts"),
        Check("S505", "prompt without a picture", "remove the row, or write the picture's name as it is"),
        Check("S506", "duplicate row", "keep one row for each picture"),
        Check("S507", "empty prompt", "write what the picture was drawn from"),
        Check("S508", "no contact sheet", "put all pictures on one sheet, in rows and columns as the contest asks"),
        Check("S509", "contact sheet of another shape", "make it of cells of one size, shaped like the pictures"),
        Check(
            "S510",
            "below the aesthetic gate",
            "draw those anew with another seed, and measure them with: jdart-eval aesthetic",
            WARNING,
        ),
        Check("S511", "report not readable", "make it again with: jdart-eval aesthetic", WARNING),
        Check("S601", "archive of another name", "rename it; the name is made of track, registered team and rank"),
        Check("S602", "no code", "put the folder with all of the code there"),
        Check("S603", "no environment file", "write one that names every library in one version"),
        Check("S604", "environment file not readable", "write it as pip or conda read it, in UTF-8"),
        Check("S605", "version not pinned", "name the version that was used, as in numpy==1.26.4"),
        Check("S606", "library missing or of another version", "name what the edition asks for, and run it with that"),
        Check("S607", "no description", "put the description there, as PDF"),
        Check("S608", "description is no PDF", "save it as PDF; renaming a file does not make it one"),
        Check("S609", "framework not used", "the edition asks for models that are made and trained with it"),
        Check("S610", "beside the package", "leave it out; packing with -o does so by itself", WARNING),
    )
}


def finding(code: str, path: str, message: str, hint: str | None = None) -> Finding:
    """A finding with its code's usual hint, unless a better one is known."""
    check = CHECKS[code]
    return Finding(code, path, message, check.hint if hint is None else hint, check.severity)


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """The findings that make an entry bad: all but the warnings."""
    return [one for one in findings if one.severity == ERROR]
