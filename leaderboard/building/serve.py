"""Show a site on this machine alone, and build it again whenever a report changes."""

from __future__ import annotations

import logging
import posixpath
import threading
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from contest.errors import UserError
from leaderboard.building.watch import snapshot

_log = logging.getLogger(__name__)
HOST = "127.0.0.1"
PERIOD = 1.0  # seconds between two looks at the sources
_TYPES = {  # those that a system may not know, or not with the letters they are written in
    ".css": "text/css; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
}
_NAMES = {"127.0.0.1", "localhost"}


class Server(ThreadingHTTPServer):
    """Serves one folder to this machine. Port 0 takes any that is free. OSError: the port is taken."""

    daemon_threads = True

    def __init__(self, folder: Path, port: int = 0) -> None:
        super().__init__((HOST, port), partial(_Handler, directory=str(folder)))

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_address[1]}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle of an answer is no error."""
        _log.debug("a request was not answered", exc_info=True)


class _Handler(SimpleHTTPRequestHandler):
    """Files of the folder and nothing else: no listing, nothing hidden, nothing that a link leads out to."""

    def send_head(self) -> Any:
        # another site's name that leads to this machine must not open the board to that site's scripts
        if self.headers.get("Host", "").partition(":")[0].lower() not in _NAMES:
            self.send_error(HTTPStatus.FORBIDDEN, "only for this machine")
            return None
        if self._inside() is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        return super().send_head()

    def guess_type(self, path: Any) -> str:
        known = _TYPES.get(posixpath.splitext(str(path))[1])
        return super().guess_type(path) if known is None else known

    def list_directory(self, path: Any) -> None:
        self.send_error(HTTPStatus.NOT_FOUND)

    def end_headers(self) -> None:
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        _log.debug(format, *args)

    def _inside(self) -> Path | None:
        """The file that a request means, None where it is not in the folder."""
        try:
            asked = posixpath.normpath(unquote(urlsplit(self.path).path))
            if any(part.startswith(".") for part in asked.split("/")):
                return None
            root = Path(self.directory).resolve()
            path = Path(self.translate_path(self.path)).resolve()
            return path if path == root or root in path.parents else None
        except (OSError, ValueError, RuntimeError):
            return None


def watch(
    sources: Sequence[Path],
    build: Callable[[], object],
    say: Callable[[str], object],
    stop: threading.Event,
    period: float = PERIOD,
) -> None:
    """Build again whenever the sources change, until `stop`. What cannot be built is said, and the old site stays."""
    seen = snapshot(sources)
    while not stop.wait(period):
        now = snapshot(sources)
        if now == seen:
            continue
        seen = now
        try:
            build()
            say("built again")
        except (UserError, OSError) as error:
            say(f"not built: {error}")


def serve(
    folder: Path,
    sources: Sequence[Path],
    build: Callable[[], object],
    say: Callable[[str], object],
    port: int = 0,
    stop: threading.Event | None = None,
) -> None:
    """Serve `folder` until Ctrl-C or `stop`, and keep it up to date. `say` gets the address first."""
    stop = threading.Event() if stop is None else stop
    with Server(folder, port) as server:
        threads = [
            threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True),
            threading.Thread(target=watch, args=(sources, build, say, stop), daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            say(f"{server.url} (Ctrl-C ends)")
            while not stop.wait(3600):
                pass
        except KeyboardInterrupt:
            pass
        finally:
            stop.set()
            server.shutdown()
            for thread in threads:
                thread.join()
