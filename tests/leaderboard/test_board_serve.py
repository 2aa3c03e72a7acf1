"""The board on this machine: what is served, to whom, and that it follows the reports."""

import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from some_reports import make, make_run

from leaderboard import build_site
from leaderboard.building.build import serve_reports, serve_site
from leaderboard.building.serve import Server, watch
from leaderboard.building.watch import snapshot


@contextmanager
def served(folder):
    with Server(folder) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def ask(server, path, host=None, method="GET"):
    """(status, headers, body) of one request, whose path is sent as it is."""
    port = server if isinstance(server, int) else server.server_address[1]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", f"127.0.0.1:{port}" if host is None else host)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


@pytest.fixture
def site(tmp_path):
    build_site([make(tmp_path / "r", pictures=True)], tmp_path / "site")
    (tmp_path / "secret.txt").write_text("a secret")
    (tmp_path / "site-2").mkdir()
    (tmp_path / "site-2" / "secret.txt").write_text("a secret")
    (tmp_path / "site" / "link.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "site" / "elsewhere").symlink_to(tmp_path)
    return tmp_path / "site"


def test_pages_and_pictures_are_served_with_their_types(site):
    with served(site) as server:
        assert server.server_address[0] == "127.0.0.1"
        status, headers, body = ask(server, "/")
        assert (status, body) == (200, (site / "index.html").read_bytes())
        assert headers["Content-type"] == "text/html; charset=utf-8"
        assert (headers["X-Content-Type-Options"], headers["Cache-Control"]) == ("nosniff", "no-cache")
        for path in site.rglob("*"):
            name = path.relative_to(site).as_posix()
            if path.is_file() and not name.startswith((".", "link", "elsewhere")):
                status, headers, body = ask(server, f"/{name}?some=thing")
                assert (status, body) == (200, path.read_bytes()), name
                assert "octet-stream" not in headers["Content-type"], name


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/entries/../../secret.txt",
        "/..%2fsecret.txt",
        "/../site-2/secret.txt",
        "//../secret.txt",
        "/link.txt",
        "/elsewhere/secret.txt",
        "/.jdart-board.json",
        "/%2ejdart-board.json",
        "/entries/",
        "/elsewhere/",
        "/secret.txt%00.html",
        "/nothing.html",
        "/%ff%fe",
        "/" + "a" * 5000,
    ],
)
def test_no_request_leaves_the_folder_or_lists_it(site, path):
    with served(site) as server:
        for method in ("GET", "HEAD"):
            status, _, body = ask(server, path, method=method)
            assert (status, b"a secret" in body) == (404, False)


def test_only_this_machines_names_are_answered(site):
    with served(site) as server:
        assert ask(server, "/", host="localhost")[0] == 200
        for host in ("board.example", "127.0.0.1.board.example:80", "", "[::1"):
            assert ask(server, "/", host=host)[0] == 403
        assert ask(server, "/", method="POST")[0] == 501


def wait_for(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_watch_builds_when_something_changes_and_says_what_cannot_be_built(tmp_path):
    folder = make(tmp_path / "all" / "a")
    said, built, stop = [], [], threading.Event()

    def build():
        built.append(build_site([tmp_path / "all"], tmp_path / "site"))

    thread = threading.Thread(target=watch, args=([tmp_path / "all"], build, said.append, stop, 0.01))
    thread.start()
    try:
        time.sleep(0.1)
        assert not built
        make(tmp_path / "all" / "b", "b")
        wait_for(lambda: built)
        (folder / "entry.yaml").write_text("team: 5")
        wait_for(lambda: any("not built" in one and "team must be text" in one for one in said))
        (folder / "entry.yaml").unlink()
        wait_for(lambda: said[-1] == "built again")
    finally:
        stop.set()
        thread.join()


def test_what_a_site_is_made_of_is_watched(tmp_path):
    folder = make_run(tmp_path / "run", pictures=True)
    seen = [snapshot([tmp_path])]
    assert snapshot([tmp_path]) == seen[0]
    for name in ("entry.yaml", "report/entry.json", "run.json", "report/report.json", "lora/00/loss.csv"):
        (folder / name).write_text("x")
        seen.append(snapshot([tmp_path]))
    for name in ("sheets/01.png", "report/thumbnails/outputs/00/Moon.webp"):
        (folder / name).write_text("x")
        seen.append(snapshot([tmp_path]))
    make(tmp_path / "another")
    seen.append(snapshot([tmp_path]))
    assert all(a != b for a, b in zip(seen, seen[1:]))
    assert snapshot([tmp_path / "nothing"]) == {}


def run_until_told(target, *arguments):
    """Call one of the serve functions in a thread; (what it said, an event that ends it, the thread)."""
    said, stop = [], threading.Event()
    thread = threading.Thread(target=target, args=(*arguments, said.append), kwargs={"stop": stop})
    thread.start()
    wait_for(lambda: said or not thread.is_alive())
    return said, stop, thread


def test_site_is_brought_up_to_date_and_served(tmp_path):
    report = make(tmp_path / "r")
    build_site([report], tmp_path / "site", title="Ours")
    (report / "entry.yaml").write_text("name: after the build")
    said, stop, thread = run_until_told(serve_site, tmp_path / "site")
    try:
        port = int(said[0].split(":")[2].split("/")[0])
        body = ask(port, "/")[2].decode()
        assert "after the build" in body and "Ours" in body
        (report / "entry.yaml").write_text("name: while it is served")
        wait_for(lambda: "while it is served" in ask(port, "/")[2].decode())
    finally:
        stop.set()
        thread.join()


def test_reports_are_served_from_a_folder_that_goes(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    said, stop, thread = run_until_told(serve_reports, [make(tmp_path / "r", "shown")])
    try:
        assert b"shown" in ask(int(said[0].split(":")[2].split("/")[0]), "/")[2]
    finally:
        stop.set()
        thread.join()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_ctrl_c_ends_quietly(tmp_path):
    report = make(tmp_path / "r")
    command = [sys.executable, "-c", "from leaderboard.cli import main; main()", "serve", str(report)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    root, environment = Path(__file__).parents[2], {**os.environ, "PYTHONUNBUFFERED": "1"}
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}  # in the background it is ignored
    process = subprocess.Popen(command, cwd=root, env=environment, **streams, **heard)
    try:
        line = process.stdout.readline()
        assert line.startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, err) == (0, "")
