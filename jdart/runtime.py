"""Everything that must be set before Jittor is imported, and the one place that imports it for the first time.

Jittor reads the environment while it is imported: it looks for nvcc, cuDNN 8 and oneDNN, and ends the process or
reaches for the network when one of them is not as it expects. `start` looks first and tells it what is really there.
"""

from __future__ import annotations

import atexit
import faulthandler
import importlib.metadata
import importlib.util
import logging
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import ModuleType

from contest.errors import UserError, first_line, needs
from evaluator.memory import claim_buffers
from jdart.compiling import precompiled, progress
from jdart.jittor_cache import CACHE, jittor_home

log = logging.getLogger(__name__)

CUDNN8 = ("libcudnn_ops_infer.so", "libcudnn_ops_train.so", "libcudnn_cnn_infer.so", "libcudnn_cnn_train.so")
SYSTEM_LIBRARIES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib", "/usr/lib64")
CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
ONEDNN_FOLDER = "dnnl_lnx_2.2.0_cpu_gomp"  # the name Jittor 1.3.11 looks for below its .cache/jittor/mkl


def start(device: str = "auto") -> ModuleType:
    """Import Jittor for `device` ("auto", "cpu" or "cuda") and return it; later calls return the same module.

    Raises UserError for "cuda" where Jittor could not use it, with what is missing, where it could not keep what it
    compiles, and for too low a limit of memory. The first import on a machine compiles Jittor's core, which takes one
    to three minutes.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise UserError(f"unknown device {device!r}; use auto, cpu or cuda")
    claim_buffers()
    if importlib.util.find_spec("jittor") is None:  # said alone, before any warning about what it would run on
        raise UserError("jittor is not installed; run: pip install 'jdart[train]'")
    missing = None if device == "cpu" else why_no_cuda()
    if device == "cuda" and missing is not None:
        raise UserError(f"CUDA cannot be used: {missing}; use --device cpu")
    use_cuda = device != "cpu" and missing is None
    if not use_cuda:
        os.environ["nvcc_path"] = ""
        os.environ.setdefault("FIX_TORCH_ERROR", "0")  # else Jittor imports PyTorch, for CUDA's libraries: 2.4 s
        if device == "auto" and shutil.which("nvcc") is not None:
            log.warning("running on the CPU: %s", missing)
    if os.environ.get("JITTOR_HOME") == "":
        del os.environ["JITTOR_HOME"]
    home = jittor_home()
    os.environ.setdefault("log_silent", "1")
    os.environ.setdefault("cache_name", "default")  # otherwise the git branch: compiled anew on every branch
    config = Path(sys.base_prefix, "bin", "python{}.{}-config".format(*sys.version_info))
    if config.is_file():  # Jittor itself looks beside the virtual environment's python, then for any in /usr
        os.environ.setdefault("python_config_path", str(config))
    if "use_mkl" not in os.environ and not link_onednn(home):
        os.environ["use_mkl"] = "0"
        log.warning("oneDNN 2 was not found, convolutions will be slow; cure: pip install 'jdart[train]'")
    with needs("train"), _python_keeps_signals(), _users_draws_kept():
        import numpy

        for kind in (numpy.float32, numpy.float64):
            numpy.finfo(kind)  # after Jittor's import denormals are flushed, and NumPy would warn about that here
        try:
            _import(use_cuda)
        except ImportError:
            raise
        except Exception as error:  # whatever its compiler and its cache provoke
            raise UserError(
                f"Jittor cannot be started ({first_line(error)}); see what it lacks: jdart doctor"
            ) from error
        _end_compilers()
    import jittor

    jittor.flags.use_cuda = int(use_cuda)
    return jittor


def _import(cuda: bool) -> None:
    """Import Jittor, with what it compiles then made quick and watched."""
    if "jittor" in sys.modules:
        return
    import jittor_utils

    quick = precompiled.choose_cache(cuda)
    cache = Path(jittor_utils.cache_path)
    if core_is_compiled(cuda):
        watch: AbstractContextManager[None] = nullcontext()
    else:
        log.warning("Jittor compiles its core on its first run; this takes minutes")
        watch = progress.watched("Jittor's core", lambda: progress.core_files(cache))
    options = precompiled.core_options(cache) if quick else {}
    os.environ.update(options)
    try:
        with watch:
            import jittor
    finally:
        for name in options:
            del os.environ[name]
    if quick:
        jittor.flags.cc_flags = precompiled.kernel_options(jittor.flags.cc_flags, jittor_utils.cc_path, cache)


def core_is_compiled(cuda: bool) -> bool:
    """Whether Jittor's core for this compiler, Python and processor is in its cache; with CUDA, any version of it."""
    import jittor_utils

    folder = Path(jittor_utils.cache_path)
    return any(folder.glob("cu*/jittor_core*.so" if cuda else "jittor_core*.so"))


def why_no_cuda() -> str | None:
    """Why Jittor would fail to use CUDA here, in a few words, or None when nvcc, a driver and cuDNN 8 are all found."""
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        return "nvcc was not found"
    if not Path("/dev/nvidiactl").exists() and shutil.which("nvidia-smi") is None:
        return "nvcc is installed, but there is no NVIDIA driver"
    toolkit = Path(nvcc).resolve().parents[1]
    folders = [toolkit / "bin", toolkit / "lib64", toolkit / "lib", *map(Path, SYSTEM_LIBRARIES)]
    absent = [name for name in CUDNN8 if not any(next(f.glob(f"{name}*"), None) for f in folders if f.is_dir())]
    if absent:
        return f"Jittor needs cuDNN 8 and {absent[0]} was not found (cuDNN 9 does not serve)"
    return None


def link_onednn(home: Path) -> bool:
    """Put the oneDNN of the PyPI wheels where Jittor looks for it. True when a oneDNN is in place afterwards.

    Jittor takes `<home>/.cache/jittor/mkl/dnnl_*/{lib/libmkldnn.so,include}` and would otherwise download it.
    """
    folder = home / CACHE / "mkl" / ONEDNN_FOLDER
    if (folder / "lib" / "libmkldnn.so").exists() and (folder / "include" / "dnnl.hpp").exists():
        return True
    library = _wheel_file("onednn-cpu-gomp", "libdnnl.so.2")
    header = _wheel_file("onednn-devel-cpu-gomp", "dnnl.hpp")
    if library is None or header is None:
        return False
    _link(library, folder / "lib" / "libmkldnn.so")
    _link(library, folder / "lib" / "libdnnl.so.2")
    _link(header.parent, folder / "include")
    return True


def _wheel_file(distribution: str, name: str) -> Path | None:
    """A file of an installed distribution by its name, or None."""
    try:
        files = importlib.metadata.distribution(distribution).files
    except importlib.metadata.PackageNotFoundError:
        return None
    found = [file for file in ([] if files is None else files) if file.name == name]
    path = Path(str(found[0].locate())).resolve() if found else None
    return path if path is not None and path.exists() else None


def _link(target: Path, link: Path) -> None:
    """Make or mend a symbolic link; another process may do the same at the same time."""
    link.parent.mkdir(parents=True, exist_ok=True)
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.symlink_to(target)
    os.replace(fresh, link)


@contextmanager
def _python_keeps_signals() -> Iterator[None]:
    """Keep Jittor from ending the process on Ctrl-C, or when a child dies, with handlers that can hang.

    A fault in compiled code is to end it by its signal, having said in which Python line it was; Jittor would exit(1).

    While it is imported nothing can be lost yet: both ways to stop a program have their plain effect. Jittor leaves
    Ctrl-C alone in Jupyter, which it knows by a variable. A child's death has to wait, and is ignored as usual.
    """
    in_main = threading.current_thread() is threading.main_thread()
    stops = (signal.SIGINT, signal.SIGTERM) if in_main else ()
    handlers = {number: signal.signal(number, signal.SIG_DFL) for number in stops}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    jupyter = os.environ.get("JPY_PARENT_PID")
    os.environ["JPY_PARENT_PID"] = str(os.getppid()) if jupyter is None else jupyter
    try:
        yield
    finally:
        if jupyter is None:
            del os.environ["JPY_PARENT_PID"]
        if in_main:
            faulthandler.disable()  # it would take Jittor's handlers for those of old, and call them
            for number in (*CRASHES, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            faulthandler.enable(2)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def _users_draws_kept() -> Iterator[None]:
    """Keep the generators of `random` and NumPy where they are; Jittor's import seeds both by the clock."""
    import random

    import numpy

    python, arrays = random.getstate(), numpy.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        numpy.random.set_state(arrays)


def _end_compilers() -> None:
    """End the processes that compiled Jittor's core; it would keep them, and Ctrl-C would reach and break them too."""
    import jittor_utils

    if jittor_utils.pool_size > 0:
        atexit.unregister(jittor_utils.pool_cleanup)
        jittor_utils.p.terminate()
        jittor_utils.p.join()
        jittor_utils.pool_size = 0  # a later compilation makes new ones
