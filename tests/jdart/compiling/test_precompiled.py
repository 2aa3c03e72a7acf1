"""Which of Jittor's caches is used, and that precompiled headers change nothing but the time."""

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jdart.compiling import precompiled

jittor_utils = pytest.importorskip("jittor_utils")
pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="elsewhere Jittor's own cache is used")


@pytest.fixture
def default(tmp_path, monkeypatch):
    """Jittor's empty cache as it names it: .../version/compiler/Python/system and host/processor/installation/name."""
    cache = tmp_path / "jt1.3.11" / "g++12" / "py3.11" / "Linux-6.1-host" / "AMDEPYC" / "a1b2" / "default"
    cache.mkdir(parents=True)
    monkeypatch.setattr(jittor_utils, "cache_path", str(cache))
    monkeypatch.setattr(jittor_utils, "cc_type", "g++")
    monkeypatch.setattr(sys, "path", [*sys.path, str(cache)])
    for name in (*precompiled.OURS, "cache_name"):
        monkeypatch.delenv(name, raising=False)
    return cache


def compiled(cache: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "jittor_core.cpython-311-x86_64-linux-gnu.so").touch()


def test_an_own_cache_that_neither_the_kernel_nor_the_host_names(default):
    assert precompiled.choose_cache(cuda=False)
    ours = Path(jittor_utils.cache_path)
    assert ours.is_dir() and ours.name == precompiled.NAME
    assert not ours.is_relative_to(default.parents[2]), "the folder of this host"
    _, processor, installation, _ = ours.relative_to(default.parents[3]).parts
    assert processor.startswith("AMDEPYC-") and installation == "a1b2"
    assert str(ours) in sys.path and str(default) not in sys.path, "Jittor's core is imported from there"
    assert precompiled.choose_cache(cuda=False), "asked again"
    assert Path(jittor_utils.cache_path) == ours


def test_processors_of_one_name_with_other_instructions_have_each_their_own(default, monkeypatch, tmp_path):
    here = precompiled._beside(default)
    older = tmp_path / "older-g++"
    older.write_text('#!/bin/sh\nexec g++ "$@" -mno-avx2\n')
    older.chmod(0o755)
    monkeypatch.setattr(jittor_utils, "cc_path", str(older))
    assert precompiled._beside(default) != here


def test_what_is_compiled_already_stays_in_use(default):
    compiled(default)
    assert not precompiled.choose_cache(cuda=False)
    assert Path(jittor_utils.cache_path) == default
    compiled(precompiled._beside(default))
    assert precompiled.choose_cache(cuda=False), "both are there"


@pytest.mark.parametrize("name", precompiled.OURS)
def test_options_of_the_users_own_stay(default, monkeypatch, name):
    monkeypatch.setenv(name, "-O3")
    assert not precompiled.choose_cache(cuda=False)


def test_another_compiler_cuda_and_a_cache_of_the_users_name_stay(default, monkeypatch):
    assert not precompiled.choose_cache(cuda=True)
    monkeypatch.setattr(jittor_utils, "cc_type", "clang")
    assert not precompiled.choose_cache(cuda=False)
    monkeypatch.setattr(jittor_utils, "cc_type", "g++")
    monkeypatch.setattr(jittor_utils, "cache_path", str(default.with_name("mine")))
    assert not precompiled.choose_cache(cuda=False)
    assert Path(jittor_utils.cache_path).name == "mine"


KERNEL = """
#include "var.h"
#include <cmath>
namespace jittor {
void kernel(float* __restrict__ out, const float* __restrict__ in, int64 n) {
    for (int64 i = 0; i < n; i++) out[i] = std::exp(in[i]) / (1.0f + in[i] * in[i]);
}
}
"""


def test_a_kernel_is_the_same_with_the_header(tmp_path):
    """Its instructions to the byte, compiled by Jittor's options for kernels with and without."""
    if shutil.which("objcopy") is None:
        pytest.skip("objcopy is needed: apt-get install binutils")
    source = Path(jittor_utils.__file__).parents[1] / "jittor" / "src"
    options = ["-Wno-unknown-pragmas", "-std=c++14", "-fPIC", "-march=native", "-Ofast", "-fopenmp", f"-I{source}"]
    command = [jittor_utils.cc_path, *options, "-I" + __import__("sysconfig").get_path("include")]
    header = precompiled.precompile(tmp_path, "kernel", precompiled.KERNEL, [*command, "-g"])
    made = header.with_name(header.name + ".gch")
    assert made.exists()
    moment = made.stat().st_mtime_ns
    assert precompiled.precompile(tmp_path, "kernel", precompiled.KERNEL, ["false"]) == header
    assert made.stat().st_mtime_ns == moment, "made once"
    (tmp_path / "kernel.cc").write_text("#define JIT 1\n#define JIT_cpu 1\n" + KERNEL)
    codes = []
    for name, more in (("with", ["-g", "-Winvalid-pch", "-Werror", "-include", str(header)]), ("without", ["-g"])):
        output = tmp_path / f"{name}.o"
        subprocess.run([*command, *more, "-c", str(tmp_path / "kernel.cc"), "-o", str(output)], check=True, timeout=120)
        text = tmp_path / f"{name}.text"
        subprocess.run(["objcopy", "-O", "binary", "--only-section=.text", output, text], check=True)
        codes.append(text.read_bytes())
    assert codes[0] == codes[1] and len(codes[0]) > 100


def test_where_the_compiler_fails_the_header_serves(tmp_path, caplog):
    header = precompiled.precompile(tmp_path, "core", "int x;\n", ["false"])
    assert header.read_text() == "int x;\n"
    assert [path.name for path in header.parent.iterdir()] == [header.name]
