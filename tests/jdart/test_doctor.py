"""The doctor in made-up surroundings."""

import importlib.metadata
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import pytest

from jdart import doctor, runtime
from jdart.doctor import GIB, Finding, diagnose
from jdart.running.screen import findings_table, print_table

Usage = namedtuple("Usage", "total used free")
REQUIREMENTS = [
    "click>=8.1",
    'numpy>=1.26; python_version >= "3.12"',
    'numpy>=1.22; python_version < "3.12"',
    'jittor==1.3.11.*; extra == "train"',
    'onednn-cpu-gomp==2022.2.1; (sys_platform == "linux") and extra == "train"',
    'torch>=2.2; extra == "train"',
    'torch>=2.2; extra == "eval"',
    'lpips>=0.1.4; extra == "eval"',
    'diffusers>=0.30; extra == "test"',
    'jdart[train,eval]; extra == "all"',
]


class Machine:
    """What the doctor sees. Healthy until a test takes something away."""

    def __init__(self):
        self.output = {"g++": "g++ 12.2\nmore\n", "nvidia-smi": "NVIDIA RTX 4090, 24564 MiB\n"}
        self.versions = dict.fromkeys(("click", "jittor", "torch", "lpips", *doctor.ONEDNN_WHEELS), "2.0")
        self.versions["numpy"] = "1.26.4"
        self.requirements = REQUIREMENTS
        self.no_cuda = None
        self.free = 100 * GIB
        self.pages = 32 * GIB // 4096
        self.compiled = (True, ["demo", "baseline"], 400)

    def run(self, command, **_):
        if command[0] not in self.output:
            raise FileNotFoundError(command[0])
        return SimpleNamespace(stdout=self.output[command[0]])

    def version(self, name):
        if name not in self.versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return self.versions[name]

    def requires(self, name):
        if self.requirements is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return self.requirements


@pytest.fixture
def machine(monkeypatch, tmp_path):
    machine = Machine()
    monkeypatch.setattr(subprocess, "run", machine.run)
    monkeypatch.setattr(importlib.metadata, "version", machine.version)
    monkeypatch.setattr(importlib.metadata, "requires", machine.requires)
    monkeypatch.setattr(runtime, "why_no_cuda", lambda: machine.no_cuda)
    monkeypatch.setattr(doctor, "found", lambda: machine.compiled)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(machine.free, 0, machine.free))
    monkeypatch.setattr(doctor.os, "sysconf", lambda key: machine.pages if key == "SC_PHYS_PAGES" else 4096)
    monkeypatch.setattr(doctor, "CONTAINER_LIMIT", tmp_path / "memory.max")
    monkeypatch.setattr(doctor.sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setattr(doctor.sys, "version_info", (3, 11, 7))
    monkeypatch.delenv("use_mkl", raising=False)
    monkeypatch.delenv("JITTOR_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "Python.h").touch()
    return machine


def find(name, tmp_path, **arguments):
    (finding,) = (f for f in diagnose(**arguments) if f.name == name)
    return finding


def test_a_healthy_machine_needs_no_cure(machine, tmp_path):
    findings = diagnose()
    assert [f for f in findings if f.status != "ok" or f.cure is not None] == []
    assert len({f.name for f in findings}) == len(findings) == 14
    assert find("CUDA", tmp_path).found.startswith("NVIDIA RTX 4090, 24564 MiB")
    assert find("packages to train", tmp_path).found == "jittor 2.0, torch 2.0"


@pytest.mark.parametrize(
    ("compiled", "status", "said", "cure"),
    [
        ((False, [], 0), "warn", "nothing: Jittor compiles for minutes in the first run", "jdart warm"),
        ((True, [], 7), "ok", "Jittor's core and 7 kernels; jdart warm was not run since jdart changed", "jdart warm"),
        ((True, ["demo"], 400), "ok", "Jittor's core and 400 kernels; jdart warm was run for demo", None),
    ],
)
def test_what_is_compiled_ahead(compiled, status, said, cure, machine, tmp_path):
    machine.compiled = compiled
    assert find("compiled ahead", tmp_path) == Finding("compiled ahead", status, said, cure)


def test_what_falls_short_has_a_cure_of_one_line(machine, tmp_path):
    machine.output, machine.versions, machine.no_cuda = {}, {}, "nvcc was not found"
    machine.free = machine.pages = 0
    for finding in diagnose(folders={"base model": tmp_path / "absent"}):
        assert finding.status in ("ok", "warn", "fail")
        assert (finding.cure is None) == (finding.status == "ok")
        assert "\n" not in f"{finding.found}{finding.cure}"


@pytest.mark.parametrize(("version", "status"), [((3, 8, 9), "fail"), ((3, 9, 0), "ok"), ((3, 13, 1), "warn")])
def test_python(machine, tmp_path, monkeypatch, version, status):
    monkeypatch.setattr(doctor.sys, "version_info", version)
    assert find("Python", tmp_path).status == status


def test_no_compiler(machine, tmp_path):
    del machine.output["g++"]
    finding = find("C++ compiler", tmp_path)
    assert (finding.status, finding.cure) == ("fail", "install g++ (Debian, Ubuntu: apt install g++)")


def test_no_python_headers(machine, tmp_path):
    (tmp_path / "Python.h").unlink()
    assert find("Python headers", tmp_path).status == "fail"


def test_onednn_by_wheel_or_cache_or_neither(machine, tmp_path, monkeypatch):
    del machine.versions["onednn-devel-cpu-gomp"]
    finding = find("oneDNN", tmp_path)
    assert finding.status == "warn"
    assert finding.cure == "pip install onednn-cpu-gomp==2022.2.1 onednn-devel-cpu-gomp==2022.2.1"
    library = tmp_path / ".cache" / "jittor" / "mkl" / runtime.ONEDNN_FOLDER / "lib" / "libmkldnn.so"
    library.parent.mkdir(parents=True)
    library.touch()
    assert find("oneDNN", tmp_path).found == "in Jittor's cache"
    monkeypatch.setenv("use_mkl", "0")
    assert find("oneDNN", tmp_path).cure == "unset use_mkl"


@pytest.mark.parametrize(
    ("missing", "gpu", "cure"),
    [
        ("Jittor needs cuDNN 8 and libcudnn_ops_infer.so was not found", True, "install cuDNN 8 "),
        (
            "nvcc was not found",
            True,
            "install the CUDA toolkit and cuDNN 8; until then jdart runs on the CPU",
        ),
        ("nvcc was not found", False, "jdart runs on the CPU; a GPU needs its driver"),
    ],
)
def test_cuda_falling_short_is_a_warning(machine, tmp_path, missing, gpu, cure):
    machine.no_cuda = missing
    if not gpu:
        del machine.output["nvidia-smi"]
    finding = find("CUDA", tmp_path)
    assert finding.status == "warn"
    assert missing in finding.found
    assert finding.cure.startswith(cure)


def test_little_memory_and_a_container_s_limit(machine, tmp_path):
    assert find("memory", tmp_path).found == "32.0 GiB"
    (tmp_path / "memory.max").write_text("max\n")
    assert find("memory", tmp_path).found == "32.0 GiB"
    (tmp_path / "memory.max").write_text(f"{4 * GIB}\n")
    assert (find("memory", tmp_path).found, find("memory", tmp_path).status) == ("4.0 GiB", "warn")


@pytest.mark.parametrize(("gib", "status"), [(0.5, "fail"), (5, "warn"), (50, "ok")])
def test_disk(machine, tmp_path, monkeypatch, gib, status):
    machine.free = gib * GIB
    monkeypatch.setenv("HOME", str(tmp_path / "not" / "there"))
    assert [f.status for f in diagnose() if f.name.startswith("disk")] == [status, status]


@pytest.mark.parametrize(
    ("missing", "name", "status", "cure"),
    [
        ("click", "packages", "fail", "pip install jdart"),
        ("jittor", "packages to train", "fail", "pip install 'jdart[train]'"),
        ("lpips", "packages to evaluate", "warn", "pip install 'jdart[eval]'"),
    ],
)
def test_a_missing_package_names_its_extra(machine, tmp_path, missing, name, status, cure):
    del machine.versions[missing]
    finding = find(name, tmp_path)
    assert (finding.status, finding.found, finding.cure) == (status, f"missing: {missing}", cure)


def test_the_table_shows_a_cure_as_it_is_to_be_typed(capsys):
    print_table(findings_table([Finding("packages [all]", "fail", "missing: x[y]", "pip install 'jdart[train]'")]))
    shown = capsys.readouterr().out
    assert all(text in shown for text in ("packages [all]", "missing: x[y]", "pip install 'jdart[train]'"))


def test_numpy_2_is_too_new_for_jittor(machine, tmp_path):
    machine.versions["numpy"] = "2.1.0"
    assert find("NumPy for Jittor", tmp_path).cure == "Jittor needs NumPy 1: pip install 'numpy<2'"


def test_a_checkout_that_was_not_installed(machine, tmp_path):
    machine.requirements = None
    assert find("packages", tmp_path).cure.endswith("pip install -e '.[all]'")


def test_folders(machine, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    (tmp_path / "empty").mkdir()
    folders = {name: tmp_path / name for name in ("full", "empty", "absent")}
    assert find("full", tmp_path, folders=folders).status == "ok"
    assert find("empty", tmp_path, folders=folders).found.endswith("is empty")
    assert find("absent", tmp_path, folders=folders).found.endswith("is missing")


def test_this_machine_is_looked_at_quickly_and_without_jittor_or_torch():
    code = (
        "import sys, time; start = time.monotonic();"
        "from jdart.doctor import diagnose; findings = diagnose();"
        "assert len(findings) >= 10; assert time.monotonic() - start < 3;"  # 3: a busy machine
        "assert not {'jittor', 'torch', 'numpy'} & set(sys.modules)"
    )
    root = Path(doctor.__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


@pytest.mark.parametrize(
    ("variables", "found", "cure"),
    [
        ({"HOME": "afile"}, "afile is not a folder", "set HOME to a folder that can be written"),
        ({"HOME": "shut"}, "shut cannot be written", "set HOME to a folder that can be written"),
        ({"HOME": "shut", "JITTOR_HOME": "open"}, "shut cannot be written", "set HOME to"),
        ({"HOME": "open", "JITTOR_HOME": "shut"}, "shut cannot be written", "set JITTOR_HOME to"),
        ({"HOME": "odd"}, "config.json is damaged", "remove that file"),
    ],
    ids=str,
)
def test_where_jittor_could_not_keep_what_it_compiles(machine, tmp_path, monkeypatch, variables, found, cure):
    from contest.disk import places
    from contest.errors import UserError

    (tmp_path / "afile").touch()
    (tmp_path / "shut").mkdir()
    settings = tmp_path / "odd" / ".cache" / "jittor" / "config.json"
    settings.parent.mkdir(parents=True)
    settings.write_text("[]")
    monkeypatch.setattr(places.os, "access", lambda path, mode: Path(path).name != "shut")
    for name, value in variables.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    finding = find("disk of Jittor's cache", tmp_path)
    assert finding.status == "fail"
    assert found in finding.found
    assert finding.cure.startswith(cure)
    with pytest.raises(UserError, match=cure):
        runtime.start("cpu")


def test_no_home_at_all(machine, tmp_path, monkeypatch):
    def nobody(*_):
        raise KeyError

    import pwd

    monkeypatch.delenv("HOME")
    monkeypatch.delenv("JDART_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert find("disk of Jittor's cache", tmp_path).cure == "set HOME to a folder that can be written"
    finding = find("base model", tmp_path, folders={"base model": Path("toy")})
    assert finding.status == "fail"
    assert finding.cure.startswith("set JDART_CACHE to")


def test_a_disk_whose_files_cannot_be_executed(machine, tmp_path, monkeypatch):
    monkeypatch.setattr(doctor.os, "statvfs", lambda _: SimpleNamespace(f_flag=doctor.os.ST_NOEXEC))
    assert "noexec" in find("disk of Jittor's cache", tmp_path).found
