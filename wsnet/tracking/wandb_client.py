"""Connecting to W&B: which project, online or offline, and what is refused before a sweep starts."""

import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsnet.storage import Folder
from wsnet.tracking.client import TrackingError

__all__ = ["WandbProject", "end_service", "is_unreachable", "reason", "start_service", "wandb_project"]

_OLDEST = (0, 31)
"""The oldest version of wandb with what is used here: `finish_timeout`, and `login` without a prompt or a request."""

_NAME = re.compile(r"[^/\\#?%:]{1,128}")

_SECONDS = 15.0
"""Seconds that W&B waits for its server; by default 90 when a run is opened, and without end when it is finished."""


@dataclass(frozen=True, kw_only=True)
class WandbProject:
    """Where in W&B a sweep's runs go.

    Attributes:
        entity: user or team; None for the user's default.
        project: the project's name.
        server: address of the W&B server.
        folder: where an offline run's files go, in its subfolder `wandb`; None if W&B is online.
    """

    entity: str | None
    project: str
    server: str
    folder: Path | None

    @property
    def is_offline(self) -> bool:
        """Whether runs are only written to files, which `wandb sync` uploads later."""
        return self.folder is not None

    @property
    def identity(self) -> str:
        """The same for all starts that write to the same project; not the folder, which can be moved."""
        return f"{'offline' if self.is_offline else self.server} {self.entity or ''}/{self.project}"

    @property
    def place(self) -> str:
        """Where the runs go, for messages."""
        return str(self.files) if self.is_offline else self.server

    @property
    def files(self) -> Path:
        """Folder of the files of offline runs."""
        assert self.folder is not None
        return self.folder / "wandb"


def wandb_project(text: str, sweep: Folder) -> WandbProject:
    """Check what `--wandb` was given and that W&B can be used, without asking its server.

    Args:
        text: PROJECT or ENTITY/PROJECT.
        sweep: the sweep's folder, which gets the files of offline runs unless $WANDB_DIR names another.

    Raises:
        TrackingError: wandb is not installed, is too old or switched off; the name cannot be one; no API key is
            configured and W&B is not offline; there is no local folder for offline runs.
    """
    entity, slash, project = text.rpartition("/")
    if not _NAME.fullmatch(project) or (slash and not _NAME.fullmatch(entity)):
        rule = "must be PROJECT or ENTITY/PROJECT, each of at most 128 characters and without / \\ # ? % :"
        raise TrackingError(f"--wandb {rule}, but got {text!r}")
    found = importlib.util.find_spec("wandb")
    if found is None or found.origin is None:  # W&B leaves folders called `wandb`, which can be imported.
        raise TrackingError("--wandb needs the wandb package: pip install 'wsnet[wandb]'")
    import wandb

    if tuple(int(number) for number in re.findall(r"\d+", wandb.__version__)[:2]) < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        raise TrackingError(f"--wandb needs wandb {oldest} or newer, but {wandb.__version__} is installed")
    with _silent():
        try:
            mode, server = _settings()
            folder = _folder(sweep) if mode == "offline" else None
            if mode == "online":
                _check_key(server)
        finally:
            end_service()
    return WandbProject(entity=entity or None, project=project, server=server, folder=folder)


def _settings() -> tuple[str, str]:
    """Mode and server, from the environment and from W&B's own files of settings, such as `wandb offline` writes."""
    from wandb.sdk import wandb_setup

    settings = wandb_setup.singleton().settings  # `wandb.setup()` has them too, but starts W&B's service.
    mode = {"dryrun": "offline", "run": "online", "shared": "online"}.get(settings.mode, settings.mode)
    if mode == "disabled":
        raise TrackingError("W&B is disabled, so --wandb would have no effect; unset WANDB_MODE, or leave --wandb out")
    return mode, str(settings.base_url)


def _folder(sweep: Folder) -> Path:
    given = os.environ.get("WANDB_DIR")
    local = Path(given).absolute() if given else sweep.local
    if local is None:
        raise TrackingError(
            f"W&B is offline and needs a folder on this machine, but the results go to {sweep.location!r}; name one "
            "by WANDB_DIR"
        )
    return local


def _check_key(server: str) -> None:
    import wandb

    try:
        if wandb.login(prompt=False, verify=False):
            return
        what = f"no API key for {server} is configured"
    except wandb.Error as error:  # It cannot be a key.
        what = str(error).splitlines()[0]
    raise TrackingError(
        f"--wandb: {what}; run `wandb login`, set WANDB_API_KEY, or set WANDB_MODE=offline to upload the runs later"
    )


@contextmanager
def _silent() -> Iterator[None]:
    """A context in which wandb loads its settings and prints nothing; the user's own setting is kept."""
    is_ours = "WANDB_SILENT" not in os.environ
    if is_ours:
        os.environ["WANDB_SILENT"] = "true"
    try:
        yield
    finally:
        if is_ours:
            del os.environ["WANDB_SILENT"]


def start_service() -> None:
    """Start W&B's service, a process of its own that uploads; it ends with `end_service`, or with this process."""
    import wandb

    hooks = sys.exit, sys.excepthook
    with _silent():
        wandb.setup(wandb.Settings(silent=True))
    sys.exit, sys.excepthook = hooks  # W&B wraps both at every start, and never takes that back.


def end_service() -> None:
    """End W&B's service, if it runs. It can have died; whatever it says then does not matter any more."""
    import wandb

    with suppress(Exception, SystemExit):
        wandb.teardown()


def run_settings(folder: Path, *, is_offline: bool) -> Any:
    """Settings of a run: nothing of this process but what is logged, no waiting without end, nothing printed.

    Args:
        folder: where the run's files go, in the subfolder `wandb`.
        is_offline: whether they are all there is.
    """
    import wandb

    folder.mkdir(parents=True, exist_ok=True)  # In one that is absent, W&B writes to another, without a word.
    return wandb.Settings(
        mode="offline" if is_offline else "online",
        root_dir=str(folder),
        reinit="create_new",  # Several runs are open at once, one for each trial that trains.
        silent=True,
        console="off",
        program="wsnet",  # Otherwise the path of the script.
        save_code=False,
        disable_code=True,
        disable_git=True,
        disable_job_creation=True,
        label_disable=True,
        symlink=False,
        x_disable_stats=True,  # Of the driver, where no trial trains.
        x_disable_machine_info=True,
        x_save_requirements=False,
        init_timeout=_SECONDS,
        finish_timeout=_SECONDS,
        finish_timeout_raises=True,
        stop_fn=lambda: None,  # "Stop run" in the UI would otherwise interrupt the whole sweep.
    )


_UNREACHABLE = ("connection refused", "deadline exceeded", "no such host", "unreachable", "timeout", "timed out")
_SERVICE_ERRORS = ("MailboxClosedError", "HandleAbandonedError")
"""Names of what W&B raises when its service has died."""


def is_unreachable(error: BaseException) -> bool:
    """Whether the server does not answer, or W&B's own service has died, so that every other run would fail too."""
    if isinstance(error, TimeoutError | ConnectionError) or type(error).__name__ in _SERVICE_ERRORS:
        return True
    return any(words in str(error).lower() for words in _UNREACHABLE)


def reason(place: str, error: BaseException) -> str:
    """Why W&B cannot be used, in a few words."""
    if is_unreachable(error):
        return f"W&B at {place} cannot be reached"
    text = str(error).strip() or type(error).__name__
    if "error 401" in text:
        return f"W&B at {place} refuses the API key; `wandb login --relogin` takes another"
    said = re.search(r'"message":\s*"([^"]+)"', text)  # The server's own words, within a longer text.
    first = said[1] if said else text.splitlines()[0]
    return f"W&B at {place}: {first if len(first) <= 100 else first[:97] + '...'}"
