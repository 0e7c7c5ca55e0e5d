"""Which of a sweep's runs W&B has, and in which state: the file `wandb.jsonl` in the sweep's folder."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from wsnet.storage import Folder

__all__ = ["Upload", "Uploads"]

_FILE = "wandb.jsonl"


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A run that was uploaded, or offline written to a file.

    Attributes:
        run: its id.
        state: a hash of all that it shows.
        url: the project's page; None if offline.
        folder: name of the folder with the file; empty if online.
        first: the first epoch in the file; 0 for all.
        last: the last epoch that was logged; 0 if none was.
    """

    run: str
    state: str
    url: str | None = None
    folder: str = ""
    first: int = 0
    last: int = 0


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
        self._uploads: dict[str, Upload] = {}
        self.url: str | None = None
        lines = sweep.read(_FILE) or b""
        self._is_cut_off = not lines.endswith(b"\n")
        for line in lines.splitlines():
            self._take(line)

    def get(self, run_id: str) -> Upload | None:
        """The last upload of a run; None if there was none."""
        return self._uploads.get(run_id)

    def has(self, run_id: str, state: str) -> bool:
        """Whether a run was last uploaded in this state."""
        upload = self.get(run_id)
        return upload is not None and upload.state == state

    def add(self, upload: Upload) -> None:
        """Note an upload."""
        start, self._is_cut_off = "\n" if self._is_cut_off else "", False
        line = json.dumps({"project": self._project, **asdict(upload)})
        self._sweep.append(_FILE, f"{start}{line}\n".encode())
        self._uploads[upload.run], self.url = upload, upload.url or self.url

    def _take(self, line: bytes) -> None:
        try:
            entry: dict[str, Any] = json.loads(line)
            if entry.pop("project") == self._project:
                upload = Upload(**entry)
                self._uploads[upload.run], self.url = upload, upload.url or self.url
        except (ValueError, KeyError, TypeError):  # Cut off by a crash; that run is uploaded again.
            return
