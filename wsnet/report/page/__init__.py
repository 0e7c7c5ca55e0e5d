"""One page with everything about a sweep: `report.html`, which needs no network, and `report.md`."""

from wsnet.report.page.contents import Section, contents
from wsnet.report.page.details import Details, experiment_id, read_details
from wsnet.report.page.html import page_html
from wsnet.report.page.markdown import page_markdown

__all__ = ["Details", "Section", "contents", "experiment_id", "page_html", "page_markdown", "read_details"]
