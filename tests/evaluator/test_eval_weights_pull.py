from __future__ import annotations

import fcntl
import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from fake_hub import REVISION, Site, git_blob, serve

from contest.errors import UserError
from evaluator.weights import folder as names
from evaluator.weights.catalogue import HubFile, WebFile, stand
from evaluator.weights.pull import pull

BIG = random.Random(1).randbytes(300_000)
SMALL = b'{"hidden_size": 768}\n'
PLAIN = random.Random(2).randbytes(200_000)
HEAD = b"PK\3\4" + bytes(100)
TENSORS = f"/org/net/resolve/{REVISION}/model.safetensors"
CONFIG = f"/org/net/resolve/{REVISION}/config.json"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def site():
    with serve({CONFIG: SMALL, TENSORS: BIG, "/plain.pth": PLAIN, "/head.pth": HEAD}) as running:
        running.large.add(TENSORS)
        yield running


@pytest.fixture(autouse=True)
def without_a_person(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def catalogue(site: Site) -> list[HubFile | WebFile]:
    return [
        HubFile("net/config.json", "org/net", REVISION),
        HubFile("net/model.safetensors", "org/net", REVISION),
        WebFile("plain.pth", (f"{site.url}/plain.pth",), digest(PLAIN)[:8]),
    ]


def plain(site: Site) -> list[WebFile]:
    return [WebFile("plain.pth", (f"{site.url}/plain.pth",), digest(PLAIN))]


def take(site: Site, root: Path, files=None, **options) -> list[str]:
    return pull(root, catalogue(site) if files is None else files, endpoint=site.url, **options)


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def states(site: Site, root: Path) -> list[str]:
    return [item.state for item in stand(root, catalogue(site))]


def test_a_pull_brings_the_files_and_a_lock_and_nothing_else(site, tmp_path):
    root = tmp_path / "weights"
    seen = {}
    fetched = take(site, root, progress=lambda name, done, total: seen.__setitem__(name, (done, total)))
    assert fetched == ["net/config.json", "net/model.safetensors", "plain.pth"]
    got = contents(root)
    lock = json.loads(got.pop(names.LOCK))
    assert got == {"net/config.json": SMALL, "net/model.safetensors": BIG, "plain.pth": PLAIN}
    assert not any(path.is_symlink() for path in root.rglob("*"))
    assert lock == {
        "schema_version": 1,
        "files": {
            "net/config.json": {"sha256": digest(SMALL), "revision": REVISION},
            "net/model.safetensors": {"sha256": digest(BIG), "revision": REVISION},
            "plain.pth": {"sha256": digest(PLAIN), "url": f"{site.url}/plain.pth"},
        },
    }
    assert seen == {
        "net/config.json": (21, 21),
        "net/model.safetensors": (300_000, 300_000),
        "plain.pth": (200_000,) * 2,
    }
    assert states(site, root) == ["right"] * 3


def test_git_says_the_same_blob_name():
    got = subprocess.run(["git", "hash-object", "--stdin"], input=SMALL, capture_output=True, check=True).stdout
    assert got.decode().strip() == git_blob(SMALL)


def test_what_is_there_and_right_is_not_fetched_again(site, tmp_path):
    take(site, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    site.requests.clear()
    assert take(site, tmp_path) == []
    assert site.requests == []
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    (tmp_path / "plain.pth").unlink()
    assert take(site, tmp_path) == ["plain.pth"]
    assert site.requests == [("GET", "/plain.pth", "")]


def test_files_put_there_by_hand_are_looked_up_and_not_fetched(site, tmp_path):
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "config.json").write_bytes(SMALL)
    (tmp_path / "net" / "model.safetensors").write_bytes(BIG)
    (tmp_path / "plain.pth").write_bytes(PLAIN)
    assert states(site, tmp_path) == ["unverified", "unverified", "right"]
    assert take(site, tmp_path) == []
    assert [method for method, _, _ in site.requests] == ["HEAD", "HEAD"]
    assert states(site, tmp_path) == ["right"] * 3


@pytest.mark.parametrize(("name", "data"), [("net/model.safetensors", BIG), ("plain.pth", PLAIN)])
def test_a_cut_download_goes_on_where_it_stopped(site, tmp_path, name, data):
    path = TENSORS if name.startswith("net") else "/plain.pth"
    site.cuts[path] = 70_000
    with pytest.raises(UserError, match="cut at 70000 of .* still to fetch: .*Run the same command again") as refused:
        take(site, tmp_path)
    assert "\n" not in str(refused.value)
    assert name in str(refused.value)
    assert (tmp_path / f"{name}.part").read_bytes() == data[:70_000]
    assert not (tmp_path / name).exists()
    site.cuts.clear()
    site.requests.clear()
    site.sent = 0
    assert name in take(site, tmp_path, [file for file in catalogue(site) if file.name == name])
    assert site.requests[-1] == ("GET", path, "bytes=70000-")
    assert site.sent == len(data) - 70_000
    assert (tmp_path / name).read_bytes() == data
    assert not (tmp_path / f"{name}.part").exists()


def test_a_server_without_ranges_starts_over(site, tmp_path):
    (tmp_path / "plain.pth.part").write_bytes(PLAIN[:70_000])
    site.ranges = False
    take(site, tmp_path, plain(site))
    assert site.requests == [("GET", "/plain.pth", "bytes=70000-")]
    assert site.sent == len(PLAIN)
    assert (tmp_path / "plain.pth").read_bytes() == PLAIN


def test_a_part_that_is_whole_only_gets_its_name(site, tmp_path):
    (tmp_path / "plain.pth.part").write_bytes(PLAIN)
    take(site, tmp_path, plain(site))
    assert site.sent == 0
    assert (tmp_path / "plain.pth").read_bytes() == PLAIN


@pytest.mark.parametrize("path", ["/plain.pth", TENSORS, CONFIG])
def test_a_wrong_hash_is_refused(site, tmp_path, path):
    """The hub's hash is asked for before the file; a file of the same length, but other bytes, comes."""
    files = catalogue(site)
    true = site.pages[path]

    class Turning(dict):
        def get(self, key, default=None):
            hub_is_asked = site.requests[-1][0] == "HEAD"
            return true if key == path and hub_is_asked else dict.get(self, key, default)

    site.pages = Turning({**site.pages, path: bytes(len(true))})
    with pytest.raises(UserError, match="another file than the pinned one"):
        take(site, tmp_path, files)
    name = path.rpartition("/")[2]
    assert not list(tmp_path.rglob(f"{name}*"))


def test_a_damaged_part_is_thrown_away_so_that_the_next_run_succeeds(site, tmp_path):
    (tmp_path / "plain.pth.part").write_bytes(bytes(1000))
    with pytest.raises(UserError, match="hash is wrong"):
        take(site, tmp_path, plain(site))
    assert take(site, tmp_path, plain(site)) == ["plain.pth"]


def test_another_file_under_the_name_stays_unless_forced(site, tmp_path):
    (tmp_path / "net").mkdir()
    mine = {"net/config.json": b"{}", "plain.pth": b"my own"}
    for name, data in mine.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match="left as they are: plain.pth; move them away, or .* --force"):
        take(site, tmp_path)
    (tmp_path / "plain.pth").write_bytes(PLAIN)
    with pytest.raises(UserError, match=r"left as they are: net/config\.json"):
        take(site, tmp_path)
    assert (tmp_path / "net" / "config.json").read_bytes() == b"{}"
    assert site.fetched == []
    (tmp_path / "plain.pth").write_bytes(b"my own")
    assert take(site, tmp_path, force=True) == ["net/config.json", "net/model.safetensors", "plain.pth"]
    assert states(site, tmp_path) == ["right"] * 3


def test_pytorch_bin_stands_in_and_is_looked_up_under_its_own_name(site, tmp_path):
    path = TENSORS.replace("model.safetensors", "pytorch_model.bin")
    site.pages[path] = BIG[::-1]
    site.large.add(path)
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "pytorch_model.bin").write_bytes(BIG[::-1])
    assert "net/model.safetensors" not in take(site, tmp_path)
    assert json.loads((tmp_path / names.LOCK).read_text())["files"]["net/pytorch_model.bin"] == {
        "sha256": digest(BIG[::-1]),
        "revision": REVISION,
    }


def test_the_mirror_is_asked_second_and_goes_on_with_the_same_part(site, tmp_path):
    with serve({"/other.pth": PLAIN}) as mirror:
        site.cuts["/plain.pth"] = 50_000
        file = WebFile("plain.pth", (f"{site.url}/plain.pth", f"{mirror.url}/other.pth"), digest(PLAIN))
        take(site, tmp_path, [file])
        assert mirror.requests == [("GET", "/other.pth", "bytes=50000-")]
    assert (tmp_path / "plain.pth").read_bytes() == PLAIN


def test_a_redirect_to_a_file_server_takes_the_range_along_but_not_the_token(site, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with serve({"/blob": BIG}) as store:
        site.redirects[TENSORS] = f"{store.url.replace('127.0.0.1', 'localhost')}/blob"
        (tmp_path / "net").mkdir()
        (tmp_path / "net" / "model.safetensors.part").write_bytes(BIG[:123])
        take(site, tmp_path, [HubFile("net/model.safetensors", "org/net", REVISION)])
        assert store.requests == [("GET", "/blob", "bytes=123-")]
        assert (site.tokens, store.tokens) == (["Bearer hf_secret"], [None])
    assert (tmp_path / "net" / "model.safetensors").read_bytes() == BIG


def test_a_file_without_a_known_hash_is_noted_when_it_comes_and_checked_from_then_on(site, tmp_path):
    head = [WebFile("extra/head.pth", (f"{site.url}/head.pth",), None)]
    take(site, tmp_path, head)
    assert json.loads((tmp_path / names.LOCK).read_text())["files"]["extra/head.pth"]["sha256"] == digest(HEAD)
    (tmp_path / "extra" / "head.pth").unlink()
    site.pages["/head.pth"] = b"PK\3\4" + b"x" * 100
    with pytest.raises(UserError, match="hash is wrong"):
        take(site, tmp_path, head)
    assert not (tmp_path / "extra" / "head.pth").exists()


def test_an_error_page_is_not_taken_for_a_file_without_a_known_hash(site, tmp_path):
    site.pages["/head.pth"] = b"<html>please log in</html>"
    with pytest.raises(UserError, match="another file"):
        take(site, tmp_path, [WebFile("head.pth", (f"{site.url}/head.pth",), None)])
    assert contents(tmp_path) == {}


def test_a_hub_with_another_commit_is_refused(site, tmp_path):
    site.commit = "cd" * 20
    with pytest.raises(UserError, match=f"has commit {'cd' * 20} of org/net, not {REVISION}"):
        take(site, tmp_path)
    assert contents(tmp_path) == {}


def test_a_missing_page_is_told_with_the_host(site, tmp_path):
    del site.pages["/plain.pth"]
    with pytest.raises(UserError, match=r"127\.0\.0\.1:\d+: HTTP 404 Not Found; still to fetch: plain\.pth"):
        take(site, tmp_path, plain(site))
    assert contents(tmp_path) == {}


def test_without_a_server_one_line_says_what_is_left(tmp_path):
    with serve({}) as gone:
        pass
    with pytest.raises(UserError) as refused:
        take(gone, tmp_path / "weights")
    message = str(refused.value)
    assert "\n" not in message
    for part in (
        gone.url.removeprefix("http://"),
        "net/config.json, net/model.safetensors, plain.pth",
        "HF_ENDPOINT",
        "by hand",
        "weights verify",
    ):
        assert part in message
    with pytest.raises(UserError, match="not reachable: .*refused"):
        take(gone, tmp_path / "weights", plain(gone))
    assert not (tmp_path / "weights").exists()


def test_two_pulls_do_not_write_into_one_part(site, tmp_path):
    part = tmp_path / "plain.pth.part"
    part.write_bytes(PLAIN[:10])
    with open(part, "ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process fetches this file"):
            take(site, tmp_path, plain(site))
    assert part.read_bytes() == PLAIN[:10]


def test_a_full_disk_keeps_the_part(site, tmp_path):
    """The limit on file sizes stands for the disk; it is a process's own, so this runs in another one."""
    code = f"""
import resource, signal, sys
from pathlib import Path
from evaluator.weights.catalogue import WebFile
from evaluator.weights.pull import pull
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    pull(Path({str(tmp_path)!r}), [WebFile("plain.pth", ({site.url + "/plain.pth"!r},), "0")])
except OSError as error:
    sys.exit(40 if error.errno == 27 else 41)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 40
    assert (tmp_path / "plain.pth.part").read_bytes() == PLAIN[:100_000]
    take(site, tmp_path, plain(site))
    assert (tmp_path / "plain.pth").read_bytes() == PLAIN


def test_a_file_in_the_place_of_the_folder(site, tmp_path):
    (tmp_path / "weights").write_text("mine")
    with pytest.raises(UserError, match="is not a folder"):
        take(site, tmp_path / "weights")


def test_hf_endpoint_and_offline_mode_are_the_hub_librarys(site, tmp_path):
    code = f"""
from pathlib import Path
from evaluator.weights.catalogue import HubFile
from evaluator.weights.pull import pull
from contest.errors import UserError
try:
    pull(Path({str(tmp_path)!r}), [HubFile("net/config.json", "org/net", {REVISION!r})])
except UserError as error:
    print(error)
"""
    for more, expected in (({"HF_HUB_OFFLINE": "1"}, "offline mode is enabled"), ({"HF_HUB_OFFLINE": "0"}, "")):
        env = {**os.environ, "HF_ENDPOINT": site.url, "HF_HOME": str(tmp_path / "home"), **more}
        got = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
        assert expected in got.stdout
        assert bool(site.requests) is (expected == "")
    assert (tmp_path / "net" / "config.json").read_bytes() == SMALL
