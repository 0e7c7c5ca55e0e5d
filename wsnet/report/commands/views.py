"""Where the sweep's views in MLflow's UI are, as lines to print."""

from wsnet.report.header import Header
from wsnet.report.page import experiment_id
from wsnet.storage import Folder
from wsnet.tracking import view_links
from wsnet.tracking.views import address, pages

__all__ = ["view_lines"]


def view_lines(header: Header, *, uri: str | None, source: Folder | None) -> list[str]:
    """The title and address of each view; for a sweep's own database, after the command that shows it.

    Args:
        header: of the sweep.
        uri: tracking URI that the results were read from, or None.
        source: folder that they were read from, or None.
    """
    if header.is_foreign:
        return []
    if uri is not None:
        return [f"  {title}: {link}" for title, link in view_links(uri, header.name)]
    found = None if source is None else experiment_id(source, header.name)
    if source is None or found is None:
        return []
    database = f"sqlite:///{source.location}/mlflow.db"
    links = [f"  {title}: {address(database)}/{page}" for title, page in pages(found)]
    return [f"in MLflow: mlflow ui --backend-store-uri {database}", *links]
