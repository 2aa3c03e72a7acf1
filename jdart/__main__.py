"""`python -m jdart`: the command line."""

from jdart.cli import main

main(prog_name="jdart")
