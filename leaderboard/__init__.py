"""Turn reports into a static site that opens from a folder, needs no server and asks nothing of the network.

from leaderboard import build_site
build_site(["runs/demo/report"], "runs/demo/site")
"""

from leaderboard.build import build_site

__all__ = ["build_site"]
