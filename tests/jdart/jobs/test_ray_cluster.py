"""A Ray cluster that cannot be had: one line that says what helps. No cluster is needed."""

import subprocess
import sys

import pytest

ray = pytest.importorskip("ray")

from contest.errors import UserError  # noqa: E402
from contest.machines import cluster  # noqa: E402


def connect(monkeypatch, error, address="auto"):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(ray, "init", fail)
    with pytest.raises(UserError) as told:
        cluster.connect(ray, address, "cpu", 1)
    assert "\n" not in str(told.value)
    return str(told.value)


def test_a_refused_token_asks_for_the_cluster_s(monkeypatch):
    error = ray.exceptions.AuthenticationError("Token authentication is enabled but there is none. Ensure\nmuch more")
    said = connect(monkeypatch, error)
    assert said.startswith("no Ray cluster: Token authentication is enabled but there is none; put the cluster's token")


@pytest.mark.parametrize("mode", ["token", "disabled"])
def test_a_cluster_that_wants_another_token_answers_like_none(monkeypatch, mode):
    monkeypatch.setenv("RAY_AUTH_MODE", mode)
    said = connect(monkeypatch, ConnectionError("Failed to connect to Ray cluster"))
    assert "ray start --head" in said
    assert "RAY_AUTH_TOKEN or ~/.ray/auth_token" in said
    assert ("RAY_AUTH_MODE=token" in said) == (mode != "token")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:99999", "no such host:6379"])
def test_where_nobody_listens_ray_is_not_asked(monkeypatch, address):
    for mode in ("disabled", "token"):
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
        monkeypatch.setenv("RAY_AUTH_TOKEN", "7" * 64)
        said = connect(monkeypatch, AssertionError("asked"), address)
        assert said.startswith(f"no Ray cluster: nobody answers at {address}")


def test_ray_itself_without_its_token(tmp_path):
    if not hasattr(ray.exceptions, "AuthenticationError"):
        pytest.skip("this Ray knows no tokens")
    code = (
        "import ray\nfrom contest.machines.cluster import connect\nfrom contest.errors import UserError\n"
        "try:\n    connect(ray, '127.0.0.1:1', 'cpu', 1)\nexcept UserError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "RAY_AUTH_MODE": "token"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.startswith("no Ray cluster: Token"), done.stderr
    assert "put the cluster's token in RAY_AUTH_TOKEN" in done.stdout
