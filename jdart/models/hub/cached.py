"""A repository's folder in the hub's cache: refs/<branch> and snapshots/<commit>/, of which a snapshot is the model.

Source: the layout as huggingface_hub's guide "Understand caching" describes it.
"""

from __future__ import annotations

from pathlib import Path

from contest.errors import UserError


def cached_snapshot(folder: Path, revision: str | None) -> tuple[Path, str | None]:
    """The snapshot that a repository's folder in the cache means, and its commit; any other folder, as it is.

    Without a revision that of refs/main, or the only one. UserError where the revision is not there, or several are.
    """
    snapshots = folder / "snapshots"
    if not snapshots.is_dir():
        return folder, None
    commits = sorted(path.name for path in snapshots.iterdir() if path.is_dir())
    branch = folder / "refs" / ("main" if revision is None else revision)
    wanted = branch.read_text("utf-8", "replace").strip() if branch.is_file() else revision
    if wanted is None and len(commits) == 1:
        wanted = commits[0]
    if wanted in commits:
        return snapshots / wanted, wanted
    if not commits:
        raise UserError(f"{folder}: no snapshot in it; fetch the model again, or name another folder")
    what = "several snapshots, and no refs/main" if wanted is None else f"no snapshot {wanted}"
    raise UserError(f"{folder}: {what}; set base.revision to one that is there: {', '.join(commits)}")
