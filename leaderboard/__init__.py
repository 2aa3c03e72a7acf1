"""Turn reports into a static site that opens from a folder, needs no server and asks nothing of the network.

from leaderboard import add_to_site, build_site
build_site(["runs"], "site")
add_to_site("site", ["runs/demo/report"])
"""

from leaderboard.build import add_to_site, build_site

__all__ = ["add_to_site", "build_site"]
