"""Which libraries an environment file names, in which one version: requirements.txt and conda's environment.yaml.

Nothing is installed or looked up. Sources: pip's "Requirements File Format", conda's "Creating an environment file
manually" and "Package match specifications".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Optional

from contest.disk.yaml_file import parse_yaml

INSTALLER = "pip"  # conda's files name it without a version, so that it may read their section for it
_NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*(.*)")
_EXACT = re.compile(r"\(?\s*={2,3}\s*([^\s,*;)]+)\s*\)?")
_CONDA = re.compile(r"(?:[^\s:]+::)?([A-Za-z0-9_][A-Za-z0-9._-]*)\s*(.*)")
_CONDA_EXACT = re.compile(r"={1,2}\s*([^\s=,*|<>]+)(?:=[^\s,]+)?|\s*([0-9][^\s,*|<>]*)(?:\s+\S+)?")
_REVISION = re.compile(r"@([^/@#]+)(?:#.*)?$")  # of a repository's address
_EGG = re.compile(r"[#&]egg=([A-Za-z0-9._-]+)")
_FILES = re.compile(r"-[rce]|--(?:requirement|constraint|editable)\b")  # options that name other files


@dataclass(frozen=True)
class Library:
    """One library that is named: `name` as PyPI compares them, `version` None where it is not the only one."""

    name: str
    version: Optional[str]


def plain_name(name: str) -> str:
    """A library's name as PyPI compares them (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_requirements(text: str) -> list[Library]:
    """The libraries of a requirements.txt. ValueError: a line that names another file, or no library."""
    found = []
    for line in re.sub(r"\\\r?\n", "", text).splitlines():
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        if not line:
            continue
        if _FILES.match(line):
            raise ValueError(f"reads another file ({line}); write its lines here")
        if not line.startswith("-"):  # else an option, such as the address of an index
            found.append(_requirement(line))
    return found


def read_conda(text: str) -> list[Library]:
    """The libraries of an environment.yaml, Python among them. ValueError: it is none."""
    value = parse_yaml(text)
    listed = value.get("dependencies") if isinstance(value, dict) else None
    if not isinstance(listed, list):
        raise ValueError("has no list of dependencies")
    return list(_of_conda(listed))


def at_least(version: str, least: str) -> bool:
    """Whether a version is not below another, by their numbers; a letter ends them, as in 1.3.10rc1."""
    own, wanted = (_numbers(one) for one in (version, least))
    length = max(len(own), len(wanted))
    return own + (0,) * (length - len(own)) >= wanted + (0,) * (length - len(wanted))


def _of_conda(listed: list[Any]) -> Iterator[Library]:
    for one in listed:
        if isinstance(one, str):
            found = _CONDA.fullmatch(one.strip())
            if found is None:
                raise ValueError(f"has a line that names no library ({one})")
            exact = _CONDA_EXACT.fullmatch(found[2].strip())
            version = None if exact is None else exact[1] if exact[1] is not None else exact[2]
            if version is not None or plain_name(found[1]) != INSTALLER:
                yield Library(plain_name(found[1]), version)
        elif isinstance(one, dict) and set(one) == {INSTALLER} and isinstance(one[INSTALLER], list):
            yield from read_requirements("\n".join(map(str, one[INSTALLER])))
        else:
            raise ValueError(f"has something among its dependencies that is no library ({one})")


def _requirement(line: str) -> Library:
    line = re.split(r"\s+--", line)[0]  # its hashes and options
    if re.match(r"[a-z+]+://", line):
        return _address(line, None)
    found = _NAMED.fullmatch(re.split(r"\s*;", line)[0].strip())  # without the environment it is for
    if found is None:
        raise ValueError(f"has a line that names no library ({line})")
    if found[2].startswith("@"):
        return _address(found[2][1:].strip(), found[1])
    exact = _EXACT.fullmatch(found[2])
    return Library(plain_name(found[1]), None if exact is None else exact[1])


def _address(address: str, name: str | None) -> Library:
    """A file's address is one version; a repository's is with a revision."""
    egg, revision = _EGG.search(address), _REVISION.search(address.split("://", 1)[-1])
    last = re.sub(r"(\.git)?(@[^/]*)?(#.*)?$", "", address).rstrip("/").rpartition("/")[2]
    called = name if name is not None else last if egg is None else egg[1]
    if address.startswith(("git+", "hg+", "svn+", "bzr+")):
        return Library(plain_name(called), None if revision is None else revision[1])
    return Library(plain_name(called), address)


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"v?(\d{1,9}(?:\.\d{1,9})*)", version)
    return () if found is None else tuple(map(int, found[1].split(".")))
