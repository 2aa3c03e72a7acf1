"""A web server in a thread: some pages of a model hub and plain files, with ranges, cuts and a record of requests."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REVISION = "ab" * 20


def git_blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@dataclass
class Site:
    """`pages` maps paths to bytes. A page in `cuts` is cut off there; without `ranges` every answer is whole."""

    url: str
    pages: dict[str, bytes]
    large: set[str] = field(default_factory=set)  # hub files that give a SHA-256 instead of a git blob
    cuts: dict[str, int] = field(default_factory=dict)
    ranges: bool = True
    commit: str = REVISION
    redirects: dict[str, str] = field(default_factory=dict)
    tokens: list[str | None] = field(default_factory=list)  # of every request that gets, the Authorization header
    requests: list[tuple[str, str, str]] = field(default_factory=list)  # method, path, Range
    sent: int = 0

    @property
    def fetched(self) -> list[str]:
        return [path for method, path, _ in self.requests if method == "GET"]


class _Handler(BaseHTTPRequestHandler):
    site: Site

    def do_HEAD(self) -> None:
        self._answer("HEAD")

    def do_GET(self) -> None:
        self._answer("GET")

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, method: str) -> None:
        site, asked = self.site, self.headers.get("Range", "")
        site.requests.append((method, self.path, asked))
        data = site.pages.get(self.path)
        if data is None:
            self.send_error(404)
            return
        start = int(asked[len("bytes=") : -1]) if asked and site.ranges else 0
        if method == "GET":
            site.tokens.append(self.headers.get("Authorization"))
        if start >= len(data) > 0:
            self.send_error(416)
            return
        target = site.redirects.get(self.path)
        self.send_response(302 if target else 206 if start else 200)
        if target:
            self.send_header("Location", target)
        elif start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if "/resolve/" in self.path:
            self.send_header("X-Repo-Commit", site.commit)
            self.send_header("ETag", f'"{git_blob(data)}"')
            if self.path in site.large:
                self.send_header("X-Linked-Etag", f'"{hashlib.sha256(data).hexdigest()}"')
                self.send_header("X-Linked-Size", str(len(data)))
        self.send_header("Content-Length", "0" if target else str(len(data) - start))
        self.end_headers()
        if method == "GET" and not target:
            body = data[start : site.cuts.get(self.path)]
            self.wfile.write(body)
            site.sent += len(body)


@contextmanager
def serve(pages: dict[str, bytes]) -> Iterator[Site]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    site = Site(f"http://127.0.0.1:{server.server_port}", pages)
    server.RequestHandlerClass = type("Handler", (_Handler,), {"site": site})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
