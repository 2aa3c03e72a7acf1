"""What is set before Jittor is imported: oneDNN from wheels, CUDA where it can work, signals as Python has them."""

import os
import random
import signal
import subprocess
import sys
import sysconfig

import numpy as np
import pytest

from contest.errors import UserError
from jdart import runtime


def test_onednn_is_linked_from_the_wheels(tmp_path):
    if runtime._wheel_file("onednn-cpu-gomp", "libdnnl.so.2") is None:
        pytest.skip("the oneDNN wheels exist for Linux on x86-64 only")
    assert runtime.link_onednn(tmp_path)
    folder = tmp_path / ".cache" / "jittor" / "mkl" / runtime.ONEDNN_FOLDER
    for name in ("lib/libmkldnn.so", "lib/libdnnl.so.2", "include/dnnl.hpp"):
        assert (folder / name).exists()
    assert runtime.link_onednn(tmp_path), "a second call finds it in place"
    (folder / "lib" / "libmkldnn.so").unlink()
    (folder / "lib" / "libmkldnn.so").symlink_to(tmp_path / "a-removed-environment")
    assert runtime.link_onednn(tmp_path)
    assert (folder / "lib" / "libmkldnn.so").exists(), "a dangling link is mended"


def test_without_wheels_it_says_no_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(runtime, "_wheel_file", lambda *_: None)
    assert not runtime.link_onednn(tmp_path)
    assert not list(tmp_path.iterdir())


HOME = """
import sys
from pathlib import Path
from jdart.jittor_cache import jittor_home
ours = jittor_home()
import jittor_utils
assert ours == Path(jittor_utils.home()), (ours, jittor_utils.home())
print(ours)
"""


def test_home_is_where_jittor_looks(tmp_path):
    """Against Jittor itself: the user's, that of the variable, and that of the variable as it once was."""
    user, other = tmp_path / "user", tmp_path / "other"
    user.mkdir()

    def home(**variables):
        environment = {k: v for k, v in os.environ.items() if k != "JITTOR_HOME"}
        environment = {**environment, "HOME": str(user), "nvcc_path": "", **variables}
        said = subprocess.run(
            [sys.executable, "-c", HOME], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert said.returncode == 0, said.stderr
        return said.stdout.split()[-1]

    assert home() == str(user)
    assert home(JITTOR_HOME="other") == str(other)
    assert home() == str(other), "Jittor wrote it down"
    assert home(JITTOR_HOME=str(user)) == str(user)


@pytest.fixture
def toolkit(tmp_path, monkeypatch):
    """A CUDA toolkit with a driver; returns its library folder."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "lib64").mkdir()
    for name in ("nvcc", "nvidia-smi"):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(runtime, "SYSTEM_LIBRARIES", ())
    return tmp_path / "lib64"


def test_cuda_wants_cudnn_8(toolkit):
    (toolkit / "libcudnn.so.9").touch()
    assert "cuDNN 8" in runtime.why_no_cuda()
    for name in runtime.CUDNN8:
        (toolkit / f"{name}.8").touch()
    assert runtime.why_no_cuda() is None


def test_cuda_wants_a_driver_and_nvcc(toolkit, monkeypatch):
    monkeypatch.setattr(runtime.Path, "exists", lambda self: False)
    (toolkit.parent / "bin" / "nvidia-smi").unlink()
    assert "no NVIDIA driver" in runtime.why_no_cuda()
    (toolkit.parent / "bin" / "nvcc").unlink()
    assert runtime.why_no_cuda() == "nvcc was not found"


def test_asking_for_cuda_in_vain_is_an_error_and_auto_one_line(monkeypatch, caplog):
    monkeypatch.setattr(runtime, "why_no_cuda", lambda: "it is a toaster")
    monkeypatch.setattr(runtime.shutil, "which", lambda name: "/opt/cuda/bin/nvcc")
    with pytest.raises(UserError, match="it is a toaster; use --device cpu"):
        runtime.start("cuda")
    with pytest.raises(UserError, match="auto, cpu or cuda"):
        runtime.start("tpu")
    assert runtime.start("auto").flags.use_cuda == 0
    assert [record.getMessage() for record in caplog.records] == ["running on the CPU: it is a toaster"]


def test_without_jittor_one_line_names_the_extra(monkeypatch, caplog):
    monkeypatch.setattr(runtime.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"^jittor is not installed; run: pip install 'jdart\[train\]'$"):
        runtime.start()
    assert not caplog.records


def test_jittor_compiles_against_the_headers_of_this_python():
    runtime.start("cpu")
    flags = subprocess.run([os.environ["python_config_path"], "--includes"], capture_output=True, text=True, check=True)
    assert f"-I{sysconfig.get_path('include')}" in flags.stdout.split()


def test_a_broken_nvcc_does_not_stop_the_import(tmp_path):
    """Jittor alone dies at import on such a machine; a fresh process proves that `start` keeps it away from nvcc."""
    (tmp_path / "nvcc").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "nvcc").chmod(0o755)
    code = "from jdart.runtime import start; jt = start(); print(float((jt.array([1.0]) + 1).numpy()[0]))"
    environment = {**os.environ, "PATH": f"{tmp_path}:/usr/bin:/bin"}
    environment.pop("nvcc_path", None)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("2.0")
    assert "running on the CPU" in done.stderr


@pytest.mark.skipif(signal.getsignal(signal.SIGINT) is signal.SIG_IGN, reason="run in the background, without Ctrl-C")
def test_ctrl_c_is_pythons_again():
    runtime.start("cpu")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_fault_in_compiled_code_ends_the_process_by_its_signal_and_says_where():
    code = "from jdart.runtime import start; start('cpu'); import ctypes\ndef here(): ctypes.string_at(8)\nhere()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == -signal.SIGSEGV, done.stderr
    assert "Segmentation fault" in done.stderr and "in here" in done.stderr


DRAWS = """
import logging, random
import numpy as np
logging.basicConfig(level=logging.WARNING)
np.random.seed(0)
random.seed(0)
from jdart.runtime import start
start("cpu")
print(np.random.rand(), random.random())
"""


def test_a_users_seeds_outlive_the_import():
    said = subprocess.run([sys.executable, "-c", DRAWS], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    arrays, python = map(float, said.stdout.split())
    assert (arrays, python) == (np.random.RandomState(0).rand(), random.Random(0).random())
    assert "compiles its core" not in said.stderr, "this very process has it compiled"


BESIDE = """
import sys
from jdart.runtime import start
jt = start("cpu")
print("torch" in sys.modules)
import numpy as np, torch
from jittor import nn
rng = np.random.default_rng(0)
x, w = (rng.standard_normal(shape).astype(np.float32) for shape in ((2, 16, 33, 33), (24, 16, 3, 3)))
for _ in range(2):
    ours = nn.conv2d(jt.array(x), jt.array(w), None, 1, 1).numpy()
    theirs = torch.nn.functional.conv2d(torch.tensor(x), torch.tensor(w), padding=1).numpy()
    print(float(abs(ours - theirs).max()) < 1e-4)
"""


def test_pytorch_comes_when_it_is_asked_for_and_then_computes_right():
    """Jittor alone imports it: findings/jittor-imports-torch.sh."""
    environment = {key: value for key, value in os.environ.items() if key != "FIX_TORCH_ERROR"}
    said = subprocess.run([sys.executable, "-c", BESIDE], capture_output=True, text=True, env=environment, check=False)
    assert said.stdout.split() == ["False", "True", "True"], said.stderr


@pytest.mark.parametrize(("cuda", "folder"), [(False, "."), (True, "cu12.2.140_sm_90")])
def test_the_core_is_compiled_when_it_lies_in_the_cache(cuda, folder, tmp_path, monkeypatch):
    import jittor_utils

    assert runtime.core_is_compiled(cuda=False)
    monkeypatch.setattr(jittor_utils, "cache_path", str(tmp_path))
    assert not runtime.core_is_compiled(cuda)
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / "jittor_core.cpython-311-x86_64-linux-gnu.so").touch()
    assert runtime.core_is_compiled(cuda)
    assert not runtime.core_is_compiled(not cuda)
