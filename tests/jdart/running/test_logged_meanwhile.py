"""What is logged while the stages run reaches the person; what the compiler writes goes to its file."""

import os
import pty
import subprocess
import sys

import pytest

RUN = """
import logging, os, sys
from pathlib import Path
from jdart.running.screen import speak
from jdart.running.stages import show_stages
from jdart.runs.job import Event

def stage():
    for done in (1, 2):
        yield Event("train", "00", done, 2)
        os.write(2, b"the compiler writes")
        logging.getLogger("jdart.models.cut").warning("these words are lost")

speak()
show_stages({"train": stage}, Path(sys.argv[1]))
logging.getLogger("jdart").warning("and afterwards")
"""


@pytest.mark.parametrize("terminal", [False, True])
def test_a_warning_of_a_stage_is_shown_and_is_not_in_the_compilers_file(terminal, tmp_path):
    read, write = pty.openpty() if terminal else os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path)], stdout=subprocess.DEVNULL, stderr=write
    ) as running:
        os.close(write)
        said = b""
        while True:
            try:
                some = os.read(read, 4096)
            except OSError:  # a terminal whose other end has gone
                break
            if not some:
                break
            said += some
    os.close(read)
    assert running.returncode == 0, said.decode()
    assert said.count(b"these words are lost") == 2
    assert said.count(b"and afterwards") == 1
    assert b"the compiler writes" not in said
    assert (tmp_path / "compiler.log").read_bytes() == b"the compiler writes" * 2
