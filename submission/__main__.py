"""`python -m submission`: the command line."""

from submission.cli import main

main(prog_name="jdart-submit")
