"""Base models from a hub: a server of our own speaks the hub's protocol, so the real client code runs, offline."""

import hashlib
import http.server
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ENDS = (".safetensors", ".bin")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "someone/stable-diffusion-tiny"


@pytest.fixture(scope="module")
def shelf(base_folder, tmp_path_factory):
    """The same base model as repositories hold it: repository -> its folder."""
    safetensors = ("unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model", "text_encoder/model")
    root = tmp_path_factory.mktemp("shelf")

    def copy(name):
        return Path(shutil.copytree(base_folder, root / name))

    half = copy("half")
    for stem in safetensors:
        (half / f"{stem}.safetensors").rename(half / f"{stem}.fp16.safetensors")
    mixed = copy("mixed")
    to_bin(mixed / "text_encoder" / "model.safetensors", mixed / "text_encoder" / "pytorch_model.bin")
    both = copy("both")
    for stem in safetensors:
        shutil.copy(both / f"{stem}.safetensors", both / f"{stem}.fp16.safetensors")
        shutil.copy(both / f"{stem}.safetensors", both / f"{stem}.non_ema.safetensors")
        to_bin(both / f"{stem}.safetensors", both / f"{stem.replace('/model', '/pytorch_model')}.bin", keep=True)
    (both / "v1-5-pruned.safetensors").write_bytes(b"all of it in one file")
    sharded = copy("sharded")
    split(sharded / "unet", "diffusion_pytorch_model", "")
    half_shards = copy("half-shards")
    split(half_shards / "unet", "diffusion_pytorch_model", ".fp16")
    lacking = copy("lacking")
    (lacking / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    folders = {"half": half, "mixed": mixed, "both": both, "sharded": sharded, "half-shards": half_shards}
    return {REPOSITORY: base_folder, "me/lacking": lacking, **{f"me/{name}": path for name, path in folders.items()}}


def to_bin(source, target, keep=False):
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(source), target)
    if not keep:
        source.unlink()


def split(folder, stem, variant):
    """As diffusers names the shards of a network and their index."""
    from safetensors.numpy import load_file, save_file

    whole = folder / f"{stem}.safetensors"
    tensors = load_file(whole)
    names = sorted(tensors)
    where = {name: f"{stem}{variant}-0000{1 + n % 2}-of-00002.safetensors" for n, name in enumerate(names)}
    for shard in set(where.values()):
        save_file({name: tensors[name] for name in names if where[name] == shard}, folder / shard)
    index = {"metadata": {"total_size": 1}, "weight_map": where}
    (folder / f"{stem}.safetensors.index{variant}.json").write_text(json.dumps(index))
    whole.unlink()


REFUSED = {  # as the real hub answers: status, its code
    "someone/gated": (401, "GatedRepo"),
    "someone/not-yet": (403, "GatedRepo"),
    "someone/private": (401, "RepoNotFound"),
    "someone/closed": (403, "DisabledRepo"),
    "someone/else": (401, ""),
    "someone/busy": (429, ""),
    "someone/down": (503, ""),
}


@pytest.fixture(scope="module")
def hub(shelf):
    """A hub with those repositories. Yields its address and the list of paths that were asked for."""
    asked = []
    files = {
        name: {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        for name, folder in shelf.items()
    }

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
            words = path.strip("/").split("/")
            name = "/".join(words[2:4] if path.startswith("/api/models/") else words[:2])
            if name in REFUSED:
                status, code = REFUSED[name]
                self.answer(status, b"{}", [("X-Error-Code", code)] if code else [])
            elif name not in files:
                self.answer(404, b"{}", [("X-Error-Code", "RepoNotFound")])
            elif "no-such-branch" in path:
                self.answer(404, b"{}", [("X-Error-Code", "RevisionNotFound")])
            elif path.startswith("/api/"):
                siblings = [{"rfilename": one} for one in files[name]]
                tree = [
                    {"type": "file", "path": n, "size": p.stat().st_size, "oid": "0" * 40}
                    for n, p in files[name].items()
                ]
                value = tree if "/tree/" in path else {"id": name, "sha": COMMIT, "siblings": siblings}
                self.answer(200, json.dumps(value).encode(), [("Content-Type", "application/json")])
            else:
                data = files[name]["/".join(words[4:])].read_bytes()
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
    """What `locate` gives: folder and commit, or its error."""
    return locate_all([(model, revision)], tmp_path, **environment)[0]


def locate_all(wanted, tmp_path, **environment):
    """Run `locate` in a process of its own: the hub's client reads its settings when it is imported."""
    code = (
        "import json, sys\n"
        "from jdart.models.hub.locate import locate\n"
        "from contest.errors import UserError\n"
        "found = []\n"
        "for model, revision in json.loads(sys.argv[1]):\n"
        "    try:\n"
        "        folder, commit = locate(model, revision)\n"
        "        found.append([str(folder), commit])\n"
        "    except UserError as error:\n"
        "        found.append(str(error))\n"
        "print(json.dumps(found))\n"
    )
    settings = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "HF_HOME": str(tmp_path / "hf"),
        "NO_PROXY": "127.0.0.1",
    }
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(wanted)],
        env={**settings, "HF_HUB_DISABLE_XET": "1", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])  # the client may print, too


def test_a_snapshot_is_fetched_pinned_and_then_found_offline(hub, base_folder, tmp_path):
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
    from contest.errors import UserError
    from jdart.models.build import Base

    folder, _ = locate(REPOSITORY, None, tmp_path, HF_ENDPOINT=hub[0])
    blob = (Path(folder) / "unet" / "diffusion_pytorch_model.safetensors").resolve()
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.write_bytes(data)
    with pytest.raises(UserError, match="damaged"):
        _ = Base(Path(folder)).identity


def test_each_part_in_the_format_that_the_repository_has(hub, shelf, tmp_path):
    """What is fetched is what the same folder would be read from, and no more; and so it is offline."""
    from jdart.models.build import Base

    address, asked = hub
    wanted = [(f"me/{name}", None) for name in ("half", "mixed", "both", "sharded", "half-shards")]
    count = len(asked)
    found = locate_all(wanted, tmp_path, HF_ENDPOINT=address)
    for (name, _), (folder, commit) in zip(wanted, found):
        assert commit == COMMIT
        weights = {path for path in asked[count:] if path.startswith(f"/{name}/") and path.endswith(ENDS)}
        assert len(weights) == (4 if "shard" in name else 3), name
        assert len([path for path in Path(folder).rglob("*") if path.name.endswith(ENDS)]) == len(weights), name
        assert Base(Path(folder)).identity == Base(shelf[name]).identity
    assert locate_all(wanted, tmp_path, HF_ENDPOINT=address, HF_HUB_OFFLINE="1") == found
    assert locate_all(wanted, tmp_path, HF_ENDPOINT="http://127.0.0.1:9") == found, "nobody answers"


def test_a_repository_that_lacks_a_part_is_refused_before_anything_is_fetched(hub, tmp_path):
    address, asked = hub
    count = len(asked)
    said = locate("me/lacking", None, tmp_path, HF_ENDPOINT=address)
    assert said.startswith("me/lacking: holds no weights of the vae in diffusers' layout")
    assert [path for path in asked[count:] if "me/lacking" in path] == ["/api/models/me/lacking"], (
        "the list of files, and nothing else"
    )


REFUSALS = [
    ("someone/gated", None, ["licence", "accept it on", "hf auth login"]),
    ("someone/not-yet", None, ["licence", "accept it on"]),
    ("someone/private", None, ["nor a repository", "if it is private", "hf auth login"]),
    ("nobody/nothing", None, ["nor a repository", "mend the name"]),
    ("someone/closed", None, ["closed"]),
    ("someone/else", None, ["refuses your token", "HTTP 401", "unset HF_TOKEN"]),
    ("someone/busy", None, ["HTTP 429", "later"]),
    ("someone/down", None, ["HTTP 503", "not in the hub's cache"]),
    (REPOSITORY, "no-such-branch", ["has no revision no-such-branch"]),
    ("a--b/c", None, ["owner/name"]),
]


def test_every_refusal_is_told_apart(hub, tmp_path):
    wanted = [(name, revision) for name, revision, _ in REFUSALS]
    for (name, _, words), said in zip(REFUSALS, locate_all(wanted, tmp_path, HF_ENDPOINT=hub[0], HF_TOKEN="hf_x")):
        assert said.startswith(f"{name}: ")
        assert "\n" not in said
        assert [word for word in words if word not in said] == [], said


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"HF_HUB_OFFLINE": "1"}, ["not in the hub's cache", "HF_HUB_OFFLINE is set", "HF_HOME"]),
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, ["http://127.0.0.1:9", "check HF_ENDPOINT"]),
        ({"HF_ENDPOINT": "nonsense"}, ["nonsense", "check HF_ENDPOINT"]),
        ({"HF_HUB_DOWNLOAD_TIMEOUT": "soon"}, ["soon", "HF_"]),
    ],
    ids=str,
)
def test_a_hub_out_of_reach(variables, words, tmp_path):
    said = locate("someone/model", None, tmp_path, **variables)
    assert "\n" not in said
    assert [word for word in words if word not in said] == [], said


def test_a_folder_is_taken_as_it_is(base_folder, monkeypatch):
    from jdart.models.hub.locate import locate as here

    assert here(str(base_folder), None) == (base_folder, None)
    assert here("./nowhere/base", None)[1] is None
    monkeypatch.setenv("HOME", str(base_folder.parent))
    assert here(f"~/{base_folder.name}", None) == (base_folder, None)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("https://huggingface.co/a/b", ["write base.model: a/b"]),
        ("https://huggingface.co/a/b/tree/main", ["write base.model: a/b"]),
        ("huggingface.co/a/b/tree/fp16/unet", ["write base.model: a/b and base.revision: fp16"]),
        ("https://hf.co/a/b/blob/main/x.ckpt?download=true", ["write base.model: a/b"]),
        ("hf://a/b", ["write base.model: a/b"]),
        ("https://example.org/model.zip", ["an address", "name the folder or file"]),
        ("models/x.ckpt", ["no such file"]),
        ("absent.safetensors", ["no such file"]),
        ("one.safetensors", ["not a readable safetensors file", "it is a text file"]),
        ("models/one.ckpt", ["not a PyTorch file", "it is a text file"]),
        ("base/model_index.json", ["name its folder: base"]),
        ("notes.txt", ["neither a folder nor a checkpoint"]),
    ],
)
def test_what_is_no_base_is_told_without_asking_the_hub(model, words, base_folder, tmp_path, monkeypatch):
    from contest.errors import UserError
    from jdart.models.hub.locate import locate as here

    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    for name in ("one.safetensors", "models/one.ckpt", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    shutil.copytree(base_folder, tmp_path / "base")
    with pytest.raises(UserError) as told:
        here(model, None)
    assert [word for word in words if word not in str(told.value)] == [], told.value


def test_a_folder_around_the_base_or_within_it_names_the_base(base_folder, tmp_path):
    from contest.errors import UserError
    from jdart.models.build import Base

    snapshot = tmp_path / "models--a--b" / "snapshots" / COMMIT
    shutil.copytree(base_folder, snapshot)
    for folder in (snapshot.parent, snapshot.parent.parent, snapshot / "unet"):
        with pytest.raises(UserError, match=f"name .*: {snapshot}$"):
            Base(folder)


def test_a_base_of_lfs_pointers_says_how_to_fetch_it(base_folder, tmp_path):
    from contest.errors import UserError
    from jdart.models.build import Base

    shutil.copytree(base_folder, tmp_path / "base")
    for path in (tmp_path / "base").rglob("*.safetensors"):
        path.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 7000\n")
    with pytest.raises(UserError, match=r"LFS pointer.*git lfs pull \(3 files\)"):
        Base(tmp_path / "base")
