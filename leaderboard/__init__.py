"""Turn reports, read as files, into a static site that opens from a folder; imports `contest`, not the evaluator.

from leaderboard import add_to_site, build_site
build_site(["runs"], "site")
add_to_site("site", ["runs/demo/report"])
"""

from leaderboard.building.build import add_to_site, build_site

__all__ = ["add_to_site", "build_site"]
