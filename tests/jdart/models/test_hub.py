"""Base models from a hub: a server of our own speaks the hub's protocol, so the real client code runs, offline."""

import hashlib
import http.server
import json
import subprocess
import sys
import threading

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "someone/stable-diffusion-tiny"


@pytest.fixture(scope="module")
def hub(base_folder):
    """A hub with one repository. Yields its address and the list of paths that were asked for."""
    asked = []
    files = {str(path.relative_to(base_folder)): path for path in base_folder.rglob("*") if path.is_file()}

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def answer(self, status, body=b"", headers=()):
            self.send_response(status)
            for key, value in [("Content-Length", str(len(body))), *headers]:
                self.send_header(key, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def do_GET(self):
            asked.append(self.path)
            path = self.path.split("?")[0]
            if path.startswith(f"/api/models/{REPOSITORY}/"):
                siblings = [{"rfilename": name} for name in files]
                tree = [
                    {"type": "file", "path": n, "size": p.stat().st_size, "oid": "0" * 40} for n, p in files.items()
                ]
                value = tree if "/tree/" in path else {"id": REPOSITORY, "sha": COMMIT, "siblings": siblings}
                self.answer(200, json.dumps(value).encode(), [("Content-Type", "application/json")])
                return
            prefix = f"/{REPOSITORY}/resolve/"
            name = path[len(prefix) :].split("/", 1)[-1] if path.startswith(prefix) else None
            if name not in files:
                self.answer(404, b"{}", [("X-Error-Code", "RepoNotFound")])
                return
            data = files[name].read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            self.answer(200, data, [("X-Repo-Commit", COMMIT), ("ETag", f'"{digest}"')])

        do_HEAD = do_GET

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def locate(model, revision, tmp_path, **environment):
    """Run `locate` in a process of its own: the hub's client reads its settings when it is imported."""
    code = (
        "import json, sys\n"
        "from jdart.models.hub import locate\n"
        "from submission.errors import UserError\n"
        "try:\n"
        "    folder, commit = locate(sys.argv[1], sys.argv[2] or None)\n"
        "    print(json.dumps([str(folder), commit]))\n"
        "except UserError as error:\n"
        "    print(json.dumps(str(error)))\n"
    )
    settings = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "HF_HOME": str(tmp_path / "hf"),
        "NO_PROXY": "127.0.0.1",
    }
    done = subprocess.run(
        [sys.executable, "-c", code, model, revision or ""],
        env={**settings, "HF_HUB_DISABLE_XET": "1", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_snapshot_is_fetched_pinned_and_then_found_offline(hub, base_folder, tmp_path):
    from pathlib import Path

    from jdart.models.build import Base

    address, asked = hub
    folder, commit = locate(REPOSITORY, None, tmp_path, HF_ENDPOINT=address)
    assert commit == COMMIT
    assert Base(Path(folder)).identity == Base(base_folder).identity
    assert asked, "HF_ENDPOINT is respected"
    assert not any(path.endswith(".bin") for path in asked), "safetensors are enough"

    count = len(asked)
    again = locate(REPOSITORY, COMMIT, tmp_path, HF_ENDPOINT=address, HF_HUB_OFFLINE="1")
    assert again == [folder, commit]
    assert len(asked) == count, "offline means offline"


def test_a_damaged_download_is_refused(hub, tmp_path):
    from pathlib import Path

    from jdart.models.build import Base
    from submission.errors import UserError

    folder, _ = locate(REPOSITORY, None, tmp_path, HF_ENDPOINT=hub[0])
    blob = (Path(folder) / "unet" / "diffusion_pytorch_model.safetensors").resolve()
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.write_bytes(data)
    with pytest.raises(UserError, match="damaged"):
        _ = Base(Path(folder)).identity


def test_what_cannot_be_had_is_one_clear_line(hub, tmp_path):
    address, _ = hub
    offline = locate(REPOSITORY, None, tmp_path / "empty", HF_ENDPOINT=address, HF_HUB_OFFLINE="1")
    assert "not in the hub's cache" in offline
    unknown = locate("nobody/nothing", None, tmp_path / "empty", HF_ENDPOINT=address)
    assert "nobody/nothing" in unknown
    assert "\n" not in unknown


def test_a_folder_is_taken_as_it_is(base_folder):
    from jdart.models.hub import locate as here

    assert here(str(base_folder), None) == (base_folder, None)
    assert here("./nowhere/base", None)[1] is None
