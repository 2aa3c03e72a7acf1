"""`python -m leaderboard`: the command line."""

from leaderboard.cli import main

main(prog_name="jdart-board")
