"""Joins a running Ray cluster: its address, its token, and the submitted Ray job, if any, that this process is."""

import json
import os
import socket
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["TOKEN", "check_address", "check_storage", "join", "submitted_environment"]

TOKEN = Path.home() / ".ray" / "auth_token"
"""Where Ray keeps its token."""

_ANSWER_SECONDS = 5.0
"""Seconds within which a cluster must answer. Ray itself retries for more than 3 minutes, printing a line each time."""

_SUBMITTED = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""The environment variable in which a driver that `ray job submit` has started finds its job's configuration."""


def check_address(address: str) -> None:
    """Check that something answers at `host:port` before Ray tries. (`auto` has no port; Ray looks it up locally.)

    Call it before ray is imported, since Ray reads the environment at import.

    Raises:
        ConnectionError: nothing answers there, or it is not an address.
    """
    if "RAY_AUTH_MODE" not in os.environ and _has_token():
        # A cluster from `ray start` demands the token that it found; `ray.init` sends it only in this mode.
        os.environ["RAY_AUTH_MODE"] = "token"
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        if address != "auto":
            raise ConnectionError(f"the address of a Ray cluster must be 'auto' or host:port, but got {address!r}")
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ConnectionError(
            f"no Ray cluster answers at {address!r} ({error}); start one with 'ray start --head', or give no address"
        ) from None


def check_storage(location: str) -> None:
    """Check that results outlive a job that `ray job submit` has started: its working directory is deleted after it.

    Raises:
        StorageError: they would be in there.
    """
    if "working_dir" not in submitted_environment() or "://" in location or Path(location).expanduser().is_absolute():
        return
    from wsnet.storage import StorageError

    raise StorageError(
        "in a submitted job, --storage must be an absolute path or a URI, since Ray deletes the job's working "
        f"directory, but got {location!r}"
    )


def join(address: str, runtime_env: dict[str, Any]) -> Any:
    """Connect to a cluster.

    Args:
        address: `auto`, or host:port.
        runtime_env: how Ray prepares each process of this session.

    Returns:
        what `ray.init` does.

    Raises:
        ConnectionError: there is no cluster at the address, or the token is not the cluster's.
    """
    check_address(address)
    import ray

    with tempfile.TemporaryFile() as said:
        try:
            with _stderr_into(said.fileno()):  # Ray prints a line a second; the last one is enough.
                context = ray.init(address=address, log_to_driver=False, logging_level="error", runtime_env=runtime_env)
        except Exception as error:  # Ray may raise anything: no cluster, a different version, a wrong token.
            said.seek(0)
            lines = [*str(error).strip().splitlines()[:1], *said.read().decode(errors="replace").splitlines()[-1:]]
            hint = "if the cluster needs a token, put it in ~/.ray/auth_token or RAY_AUTH_TOKEN"
            raise ConnectionError(f"could not join a Ray cluster at {address!r}: {'; '.join(lines)}; {hint}") from None
    if _sends_no_token(context):
        ray.shutdown()
        raise ConnectionError(
            f"the Ray cluster at {address!r} was started without a token, but this machine has one, and would demand "
            "it of the cluster; set RAY_AUTH_MODE=disabled, or start the cluster where the token is"
        )
    return context


def _sends_no_token(context: Any) -> bool:
    """Whether this process demands a token that the cluster does not send: tasks would run, but actors would die."""
    url = getattr(context, "dashboard_url", None)
    if not url or os.environ.get("RAY_AUTH_MODE", "").lower() != "token":
        return False
    try:
        with urllib.request.urlopen(f"http://{url}/api/authentication_mode", timeout=_ANSWER_SECONDS) as answer:
            return bool(json.load(answer)["authentication_mode"] == "disabled")
    except (OSError, ValueError, KeyError):  # Without a dashboard, it remains unknown.
        return False


def submitted_environment() -> dict[str, Any]:
    """The `runtime_env` of the job that this process is the driver of, if `ray job submit` has started it."""
    return json.loads(os.environ.get(_SUBMITTED) or "{}").get("runtime_env") or {}


@contextmanager
def _stderr_into(handle: int) -> Iterator[None]:
    """Redirect this process's standard error to another file descriptor, including output from C++ code."""
    before = os.dup(2)
    os.dup2(handle, 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def _has_token() -> bool:
    """Whether there is a token where Ray looks for one."""
    named = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    return bool(named) or TOKEN.exists()
