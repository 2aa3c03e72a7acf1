"""`python -m organiser`: the command line."""

from organiser.cli import main

main(prog_name="jdart-organise")
