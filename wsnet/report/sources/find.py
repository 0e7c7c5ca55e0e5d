"""Finding sweeps: the newest one, and what a user may have meant by a folder that holds none."""

from wsnet.called import program
from wsnet.report import ReportError

__all__ = ["check_is_sweep", "find_sweep"]


def find_sweep(folder: str) -> str:
    """The newest sweep directly below a local folder.

    Raises:
        ReportError: there is none.
    """
    from wsnet.storage.find import sweeps_in

    sweeps = sweeps_in(folder)
    if not sweeps:
        raise ReportError(f"no sweep below ./{folder}; give the folder of a sweep that {program('run')} wrote")
    return sweeps[0]


def check_is_sweep(place: str) -> None:
    """Raise if a folder holds no sweep, with a suggestion of what the user may have meant."""
    from wsnet.storage import Folder
    from wsnet.storage.find import STORAGE, meant_sweep, sweeps_in, sweeps_of_file

    folder = Folder(place)
    if folder.local is not None and folder.local.is_file():
        is_sweep_file = folder.local.suffix in (".yaml", ".yml")
        sweeps = sweeps_of_file(folder.local) if is_sweep_file else []
        hint = f"; give the folder of its sweep: {', '.join(sweeps)}" if sweeps else f", such as {STORAGE}/quickstart"
        raise ReportError(f"{place!r} is a {'sweep ' * is_sweep_file}file, not the folder of a sweep{hint}")
    if folder.exists("sweep.json"):
        return
    if below := sweeps_in(place):
        raise ReportError(f"no sweep in {place!r} itself, but in folders below it; give one of: {', '.join(below)}")
    what = "holds no sweep.json" if folder.names() else "is absent or empty"
    raise ReportError(f"no sweep in {place!r}: the folder {what}{meant_sweep(place)}")
