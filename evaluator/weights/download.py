"""One file over HTTP: continued where it was cut off, and given its name only when its bytes are the right ones."""

from __future__ import annotations

import fcntl
import os
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.parse import urlsplit

from contest.errors import UserError

TIMEOUT = 10.0  # seconds without a byte
_BLOCK = 1 << 20

# bytes that are there, bytes in all where the server says so
Advance = Callable[[int, "int | None"], None]


class Unavailable(Exception):
    """The server gave no file, or not all of it. The message is the reason, `host` the server; what came is kept."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(reason)
        self.host = urlsplit(url).netloc


class Mismatch(Exception):
    """What came is another file; it was thrown away."""


def download(
    url: str, target: Path, is_right: Callable[[Path], bool], advance: Advance, headers: Mapping[str, str]
) -> None:
    """Fetch `url` to `target`, which is replaced in one step when `is_right` accepts what came.

    Until then the bytes are in `<target>.part`. A later call asks the server for the rest only (RFC 9110, Range); from
    a server that sends all of it again it starts over. `headers` go to the first server, not to where it redirects.
    Raises Unavailable, Mismatch, UserError when another process fetches the same file, and OSError of the disk.
    """
    part = target.with_name(f"{target.name}.part")
    have = part.stat().st_size if part.is_file() else 0
    with _request(url, have, headers) as response:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _claim(part, have) as stream:
            if response is not None:
                have = have if _continues(response, have) else 0
                stream.truncate(have)
                total = None if response.length is None else have + response.length
                advance(have, total)
                for block in _blocks(response, url):
                    stream.write(block)
                    have += len(block)
                    advance(have, total)
                stream.flush()
                os.fsync(stream.fileno())
                if total is not None and have < total:
                    raise Unavailable(url, f"the connection was cut at {have} of {total} bytes")
            if not is_right(part):
                part.unlink()
                raise Mismatch
            os.replace(part, target)


@contextmanager
def _request(url: str, have: int, headers: Mapping[str, str]) -> Iterator[HTTPResponse | None]:
    """The response for the bytes from `have` on; None when there are no more."""
    request = urllib.request.Request(url)
    for name, value in headers.items():
        request.add_unredirected_header(name, value)
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        if error.code != 416 or not have:  # 416: there are no bytes after these
            raise Unavailable(url, f"HTTP {error.code} {error.reason}".strip()) from error
        response = None
    except (OSError, HTTPException) as error:
        raise Unavailable(url, f"not reachable: {getattr(error, 'reason', error)}") from error
    if response is None:
        yield None
    else:
        with response:
            yield response


def _continues(response: HTTPResponse, have: int) -> bool:
    place = response.headers.get("Content-Range", "")
    return response.status == 206 and place.replace(" ", "").startswith(f"bytes{have}-")


def _blocks(response: HTTPResponse, url: str) -> Iterator[bytes]:
    while True:
        try:
            block = response.read(_BLOCK)
        except (OSError, HTTPException) as error:
            raise Unavailable(url, f"the connection was cut: {error}") from error
        if not block:
            return
        yield block


@contextmanager
def _claim(part: Path, have: int) -> Iterator[IO[bytes]]:
    """`part` open for appending, for this process alone; an empty one does not stay."""
    with open(part, "ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(stream.fileno()).st_size != have:
                raise UserError(f"{part}: another process has just written it; run the same command again")
            yield stream
        except BlockingIOError:
            raise UserError(f"{part}: another process fetches this file; wait until it is done") from None
        finally:
            stream.flush()
            if part.is_file() and part.stat().st_size == 0:
                part.unlink()
