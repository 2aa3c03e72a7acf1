"""Every reader for some time each, by libFuzzer through atheris: `make fuzz`, or

    python tests/fuzz/fuzz_for_long.py --seconds 60 png report

A reader's corpus, build/fuzz/<reader>/, is kept and gone on from; what a fault was found with lies in
build/fuzz/found/. No part of the test suite: libFuzzer's changes follow the lines that they reach, and no two runs are
alike.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ["contest", "evaluator", "jdart", "leaderboard", "organiser", "submission"]
KEPT = ROOT / "build" / "fuzz"
MEGABYTES = 4096
SLOW = 20  # seconds for one file


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz every reader, one after the other.")
    parser.add_argument("--seconds", type=int, default=60, help="for each reader")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("readers", nargs="*", help="all unless named")
    asked = parser.parse_args()
    if asked.one:
        fuzz(asked.readers[0], asked.seconds)
        return 0
    names = asked.readers if asked.readers else known()
    failed = []
    together = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    for name in names:
        command = [sys.executable, __file__, "--one", "--seconds", str(asked.seconds), name]
        done = subprocess.run(command, cwd=ROOT, text=True, errors="replace", **together)
        lines = done.stdout.splitlines()
        told = [line for line in lines if line.startswith("Done ")]
        print(f"{name}: {told[-1] if told else 'ended early'}", flush=True)
        if done.returncode:
            failed.append(name)
            print("\n".join(lines[-40:]), flush=True)
    print(f"{len(names) - len(failed)} of {len(names)} readers without a fault" + "".join(f"; {one}" for one in failed))
    return 1 if failed else 0


def known() -> list[str]:
    _find_ours()
    from fuzz_targets import targets

    return list(targets())


def fuzz(name: str, seconds: int) -> None:
    """Never returns where a fault is found, and not much later than `seconds` otherwise."""
    import atheris

    _find_ours()
    with atheris.instrument_imports(include=PACKAGES):
        from fuzz_targets import run, targets

        target = targets()[name]
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    corpus, found = KEPT / name, KEPT / "found"
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds:
        (corpus / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
    words = KEPT / f"{name}.words"
    spelt = ("".join(f"\\x{byte:02x}" for byte in piece) for piece in target.pieces if piece)
    words.write_text("".join(f'"{word}"\n' for word in spelt))
    options = [f"-max_total_time={seconds}", f"-timeout={SLOW}", f"-rss_limit_mb={MEGABYTES}", f"-dict={words}"]
    with tempfile.TemporaryDirectory() as folder:
        atheris.Setup(
            [sys.argv[0], *options, f"-artifact_prefix={found}/{name}-", str(corpus)],
            lambda data: run(target, Path(folder), data),
        )
        atheris.Fuzz()


def _find_ours() -> None:
    sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]


if __name__ == "__main__":
    sys.exit(main())
