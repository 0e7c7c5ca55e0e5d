"""Which of a sweep's runs W&B has, and in which state: the file `wandb.jsonl` in the sweep's folder."""

import json
from typing import Any

from wsnet.storage import Folder

__all__ = ["Uploads"]

_FILE = "wandb.jsonl"


class Uploads:
    """The uploads that were completed, a line for each; the last one of a run counts.

    W&B can be asked for its runs only online, and slowly. An upload that is not noted here, because the process was
    killed, is repeated, which adds nothing to the run.

    Args:
        sweep: the sweep's folder.
        project: identity of the project, since a sweep can be uploaded to several.
    """

    def __init__(self, sweep: Folder, project: str) -> None:
        self._sweep, self._project = sweep, project
        self._states: dict[str, str] = {}
        self.url: str | None = None
        lines = sweep.read(_FILE) or b""
        self._is_cut_off = not lines.endswith(b"\n")
        for line in lines.splitlines():
            self._take(line)

    def has(self, run_id: str, state: str) -> bool:
        """Whether a run was uploaded in this state."""
        return self._states.get(run_id) == state

    def add(self, run_id: str, state: str, url: str | None) -> None:
        """Note an upload.

        Args:
            run_id: the run.
            state: a hash of all that it shows.
            url: the project's page; None if offline.
        """
        entry = {"project": self._project, "run": run_id, "state": state, "url": url}
        start, self._is_cut_off = "\n" if self._is_cut_off else "", False
        self._sweep.append(_FILE, f"{start}{json.dumps(entry)}\n".encode())
        self._states[run_id], self.url = state, url or self.url

    def _take(self, line: bytes) -> None:
        try:
            entry: dict[str, Any] = json.loads(line)
            if entry["project"] == self._project:
                self._states[entry["run"]], self.url = entry["state"], entry["url"] or self.url
        except (ValueError, KeyError, TypeError):  # Cut off by a crash; that run is uploaded again.
            return
