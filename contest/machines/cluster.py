"""A Ray cluster, found or started on this machine; one that cannot be had is one line that says what helps."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from contest.errors import UserError, first_line

STORE = 100 << 20  # bytes; Ray's smallest object store is more than a few events or reports need
ANSWER = 10.0  # seconds to wait for a cluster's port


def connect(ray: Any, address: str | None, kind: str, workers: int) -> None:
    """Join the cluster at `address` ("auto": the one of this machine); None starts one of so many workers here.

    `ray` is the package, which only its users import; `kind` is "cuda" or "cpu". UserError: there is none.
    """
    _require_answer(address)
    size: dict[str, Any] = {"num_gpus" if kind == "cuda" else "num_cpus": workers, "object_store_memory": STORE}
    try:
        ray.init(
            address="local" if address is None else address,
            include_dashboard=None if address is not None else False,
            log_to_driver=False,
            logging_level="ERROR",
            **({} if address is not None else size),
        )
    except (ConnectionError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        said = first_line(error).partition(". ")[0]
        raise UserError(f"no Ray cluster: {said}; {_cure(isinstance(error, ray.exceptions.RayError))}") from error


def _require_answer(address: str | None) -> None:
    """UserError where nobody listens at host:port; Ray itself would try for minutes."""
    host, _, port = ("" if address is None else address).rpartition(":")
    if not host or not port.isdecimal() or "/" in host or _lacks_token():
        return  # which is said first, and by Ray
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise UserError(f"no Ray cluster: nobody answers at {address} ({error}); {_cure(False)}") from error


def _lacks_token() -> bool:
    """Whether Ray is to use a token and finds none where it looks for one."""
    named = os.environ.get("RAY_AUTH_TOKEN_PATH", os.path.expanduser("~/.ray/auth_token"))
    there = "RAY_AUTH_TOKEN" in os.environ or Path(named).is_file()
    return os.environ.get("RAY_AUTH_MODE") == "token" and not there


def _cure(refused: bool) -> str:
    """What helps; a cluster that wants another token answers like one that is not there."""
    token = "the cluster's token in RAY_AUTH_TOKEN or ~/.ray/auth_token"
    if refused:
        return f"put {token}"
    if os.environ.get("RAY_AUTH_MODE") == "token":
        return f"start one with: ray start --head; where it runs, put {token}"
    return f"start one with: ray start --head; one that wants a token needs RAY_AUTH_MODE=token and {token}"
