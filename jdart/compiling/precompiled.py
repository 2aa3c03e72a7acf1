"""Headers that Jittor's C++ has in common, read by the compiler once instead of for every file.

Jittor compiles some 150 files of its core and a small file for every kernel, and nearly all of a kernel's time goes
into the same headers. GCC can keep what it made of a header in a file beside it (`NAME.gch`; GCC's manual, "Using
Precompiled Headers"); where that does not fit the options of a compilation it reads the header itself. The instructions
of the kernels are the same with and without. The core is compiled with less optimisation than Jittor's own -O2: it
plans the work, the kernels do it, and they keep their -Ofast.

This needs other compiler options, and Jittor compiles everything anew when they change. So it has a cache of its own,
of the name NAME near Jittor's "default", and where the default is already compiled that one stays in use.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from contest.disk.files import write_bytes

log = logging.getLogger(__name__)

OURS = ("cc_flags", "kernel_flags", "debug")  # whoever sets one of these has options of their own
CORE_LEVEL, KERNEL_LEVEL = "-O1", "-Ofast"
CORE = """\
#include <Python.h>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <iomanip>
#include <iostream>
#include <limits>
#include <map>
#include <mutex>
#include <sstream>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>
#include "common.h"
#include "var.h"
#include "op.h"
#include "ops/op_register.h"
#include "fused_op.h"
#include "op_compiler.h"
#include "mem/allocator.h"
#include "utils/str_utils.h"
"""
# Jittor ends the process when its options change over a cache; so a change of the header is another cache
NAME = f"jdart-{hashlib.sha256((CORE_LEVEL + CORE).encode()).hexdigest()[:8]}"
# a kernel begins with these two definitions, and Jittor's headers read them
KERNEL = """\
#define JIT 1
#define JIT_cpu 1
#include <cmath>
#include <algorithm>
#include <limits>
#include "var.h"
#include "fused_op.h"
#include "ops/op_register.h"
#include "ops/array_op.h"
#include "ops/broadcast_to_op.h"
#include "ops/binary_op.h"
#include "ops/unary_op.h"
#include "ops/reduce_op.h"
#include "ops/code_op.h"
#include "misc/cpu_math.h"
#include "executor.h"
"""


def choose_cache(cuda: bool) -> bool:
    """Choose the cache that Jittor will use, before Jittor is imported. True where it is the one with these headers.

    A cache that the user names, or options of the user's, or Jittor's own cache when something is compiled there
    already, stay what they are.
    """
    import jittor_utils

    if jittor_utils.cc_type != "g++" or platform.machine() != "x86_64" or any(os.environ.get(name) for name in OURS):
        return False
    current = Path(jittor_utils.cache_path)
    if current.name == NAME:
        return not cuda
    ours = _beside(current)
    compiled = any(current.glob("**/jittor_core*.so"))
    if current.name != "default" or cuda or (compiled and not any(ours.glob("jittor_core*.so"))):
        return False
    ours.mkdir(parents=True, exist_ok=True)
    sys.path.remove(jittor_utils.cache_path)
    sys.path.append(str(ours))
    os.environ["cache_name"] = NAME
    jittor_utils.cache_path = str(ours)
    return True


def _beside(cache: Path) -> Path:
    """Our cache for Jittor's .../compiler/Python/system/processor/installation/default.

    Jittor's name of the system holds the kernel's version and the host's name: what an image has compiled would not
    be found where it runs. Compiled code depends on the C library, and on the processor's instructions, which do not
    follow from its name.
    """
    processor, installation = f"{cache.parents[1].name}-{_instructions()}", cache.parent.name
    return cache.parents[3] / "".join(platform.libc_ver()) / processor / installation / NAME


def _instructions() -> str:
    """A short digest of what -march=native means here to the compiler."""
    import jittor_utils

    command = [jittor_utils.cc_path, "-march=native", "-dM", "-E", "-x", "c++", os.devnull]
    done = subprocess.run(command, capture_output=True, check=False)
    return hashlib.sha256(done.stdout).hexdigest()[:8]


def core_options(cache: Path) -> dict[str, str]:
    """The variables by which Jittor compiles its core with the precompiled header, made where it is missing."""
    import jittor_utils

    source = Path(jittor_utils.__file__).parents[1] / "jittor"
    options = ["-Wall", "-Wno-unknown-pragmas", "-std=c++14", "-fPIC", "-march=native", CORE_LEVEL]
    options += [f"-I{source / 'src'}", f"-I{source / 'extern'}", *shlex.split(jittor_utils.get_py3_include_path())]
    header = precompile(cache, "core", CORE, [jittor_utils.cc_path, *options])
    return {"cc_flags": f' {CORE_LEVEL} -include "{header}"', "kernel_flags": f" {KERNEL_LEVEL}"}


def kernel_options(flags: str, compiler: str, cache: Path) -> str:
    """Jittor's options for kernels, with their precompiled header in the place of the core's."""
    words = shlex.split(flags)
    at = words.index("-include")
    core = words[at + 1]
    left_out = re.compile(rf"-l|-L|-Wl,|-shared$|{CORE_LEVEL}$")
    options = [word for word in [*words[:at], *words[at + 2 :]] if not left_out.match(word)]
    header = precompile(cache, "kernel", KERNEL, [compiler, *options, "-g"])  # Jittor's tuner of kernels asks for lines
    return flags.replace(core, str(header)).replace(f" {CORE_LEVEL} ", " ")


def precompile(cache: Path, name: str, text: str, command: Sequence[str]) -> Path:
    """Write a header into Jittor's cache, and what `command` makes of it, unless they are there. Returns the header.

    Where the compiler fails there is only the header, which serves as well. Two processes may do the same at a time.
    """
    header = cache / "precompiled" / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}.h"
    made = header.with_name(f"{header.name}.gch")
    if made.exists() and header.exists():
        return header
    header.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(header, text.encode())
    fresh = made.with_name(f".{os.getpid()}.{made.name}")
    done = subprocess.run(
        [*command, "-x", "c++-header", str(header), "-o", str(fresh)], capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        os.replace(fresh, made)
    else:
        log.info("%s could not be precompiled: %s", header, done.stderr.strip().partition("\n")[0])
    return header
