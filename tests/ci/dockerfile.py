"""Reads a Dockerfile: instructions with their arguments, continuation lines joined, comments left out."""

import re


def read_dockerfile(path):
    """(instruction, argument) in their order."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines) + "\n")
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def commands(instructions):
    """Every shell command of the RUN instructions, one by one."""
    runs = [argument for instruction, argument in instructions if instruction == "RUN"]
    return [command.strip() for run in runs for command in re.split(r"&&|;|\|\|?", run)]
