"""What the first of two stages chose: one setting for each cell of its table."""

from wsnet.config.reading.chosen import Chosen
from wsnet.report.pivot import pivot
from wsnet.report.read import read_directory
from wsnet.storage import Folder

__all__ = ["read_chosen"]


def read_chosen(stage: Folder) -> Chosen:
    """Choose a setting for each cell of a sweep's table, from its records.

    Args:
        stage: folder of the first stage.

    Raises:
        StorageError: it holds no sweep.
        ReportError: see `Header.of`.
    """
    cells = pivot(read_directory(stage)).cells.values()
    decided = [cell for cell in cells if cell.choice is None or cell.choice.setting_id is not None]
    return Chosen(
        places=[cell.axes for cell in decided],
        candidates=max((cell.choice.among for cell in decided if cell.choice is not None), default=1),
        undecided=len(cells) - len(decided),
    )
