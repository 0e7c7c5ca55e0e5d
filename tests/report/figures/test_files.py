"""Figures as files: the same bytes every time, with embedded fonts, and nothing that overlaps."""

from pathlib import Path
from typing import Literal

import pytest
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from tests.report.figures.made_up import NORMS, batch_sizes, curves_of, decays, made_up, norms, random_search
from wsnet.config import read_sweep
from wsnet.config.published import PublishedConfig
from wsnet.report.figures import FULL_WIDTH, ONE_COLUMN, figures, render
from wsnet.report.results import Results
from wsnet.report.tables.pivot import pivot

SWEEP = Path(__file__).parents[3] / "sweeps" / "ic_residual_units.yaml"
PUBLISHED = PublishedConfig.model_validate(
    {"where": {"system": "online_normalization", "dataset": "CIFAR-10"}, "match": {"norm": "model.norm.name"}}
)


def long_labels() -> Results:
    """Settings with labels that need several lines."""
    cases = [setting.axes["case"] for setting in read_sweep(str(SWEEP)).settings]
    return made_up([({"case": case}, [5.0 + index, 5.5]) for index, case in enumerate(cases)])


def published(columns: str | None) -> Results:
    """Norms with published numbers."""
    settings = [({"model.norm.name": norm, "train.batch_size": size}, [8.0, 9.0])
                for norm in ("batch", "online", "layer") for size in (64, 128)]  # fmt: skip
    if columns is None:
        settings = [({"model.norm.name": norm}, [8.0, 9.0]) for norm in ("batch", "online", "layer")]
    return made_up(settings, rows=["model.norm.name"], columns=columns, published=PUBLISHED)


RESULTS = {
    "twelve rows": batch_sizes(12, sizes=(2, 8, 64), seeds=2),
    "norms": norms(6),
    "decays": decays(),
    "random": random_search(20),
    "long": long_labels(),
    "published lines": published("train.batch_size"),
    "published strip": published(None),
}


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Which legends, titles and labels lie over axes or over each other, or stick out of the figure."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    axes = [each for each in figure.axes if each.get_visible()]
    boxes: dict[str, Bbox] = {f"axes {i}": each.get_window_extent(renderer) for i, each in enumerate(axes)}
    boxes |= {f"legend {i}": each.get_window_extent(renderer) for i, each in enumerate(figure.legends)}
    if figure.get_suptitle():
        boxes["title"] = figure._suptitle.get_window_extent(renderer)  # type: ignore[attr-defined]
    for i, each in enumerate(axes):
        outside = [each.title, *(text for text in each.texts if text.get_gid() in ("row", "head"))]
        boxes |= {f"text {i} {text.get_text()!r}": text.get_window_extent(renderer)
                  for text in outside if text.get_text()}  # fmt: skip
        boxes |= {f"axis name {i} {name.get_text()!r}": name.get_window_extent(renderer)
                  for name in (each.xaxis.label, each.yaxis.label) if name.get_text()}  # fmt: skip
        for axis, place in ((each.xaxis, 0), (each.yaxis, 1)):
            low, high = sorted(axis.get_view_interval())
            shown = [label for label in axis.get_ticklabels() if low <= label.get_position()[place] <= high]
            for number, label in enumerate(shown):
                if label.get_text() and label.get_visible() and label.get_rotation() in (0, 90):
                    boxes[f"label {i}.{place}.{number} {label.get_text()!r}"] = label.get_window_extent(renderer)
    names = list(boxes)
    shrunk = {name: _inner(box) for name, box in boxes.items()}
    found = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :] if shrunk[a].overlaps(shrunk[b])]
    whole = figure.bbox
    return found + [
        (name, "edge")
        for name, box in shrunk.items()
        if box.x0 < -1 or box.y0 < -1 or box.x1 > whole.x1 + 1 or box.y1 > whole.y1 + 1
    ]


def _inner(box: Bbox) -> Bbox:
    """A box without its outermost pixel."""
    return Bbox.from_extents(box.x0 + 0.6, box.y0 + 0.6, box.x1 - 0.6, box.y1 - 0.6)


@pytest.mark.slow
@pytest.mark.parametrize("title", [False, True])
@pytest.mark.parametrize("width", [FULL_WIDTH, ONE_COLUMN])
@pytest.mark.parametrize("name", RESULTS)
def test_legends_labels_and_axes_do_not_overlap(name: str, width: float, title: bool) -> None:
    results = RESULTS[name]
    curves = curves_of(results) if name in ("twelve rows", "norms") else None
    for kind, draw in figures(results, pivot(results), curves, width=width, title=title).items():
        figure = draw()
        assert figure.get_figwidth() == width
        assert overlaps(figure) == [], kind


@pytest.mark.parametrize("format", ["png", "svg", "pdf"])
def test_the_same_results_give_the_same_bytes(format: Literal["png", "svg", "pdf"]) -> None:
    results = norms(2)
    first, second = (render(figures(results, pivot(results))["figure"](), format) for _ in range(2))
    assert first == second
    assert first[:5] == {"png": b"\x89PNG\r", "svg": b"<?xml", "pdf": b"%PDF-"}[format]
    assert not any(word in first for word in (b"CreationDate", b"dc:date"))


def test_fonts_are_embedded_as_true_type() -> None:
    results = norms(2)
    data = render(figures(results, pivot(results))["figure"](), "pdf")
    assert b"/FontFile2" in data and b"/Type3" not in data


def test_the_users_own_settings_of_matplotlib_change_nothing() -> None:
    import matplotlib

    results = norms(2)
    plain = render(figures(results, pivot(results))["figure"](), "svg")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black", "svg.hashsalt": "mine"}):
        assert render(figures(results, pivot(results))["figure"](), "svg") == plain


def test_there_is_no_title_unless_one_is_asked_for() -> None:
    results = batch_sizes(3, sizes=(2, 8))
    for title in (False, True):
        for draw in figures(results, pivot(results), curves_of(results), title=title).values():
            figure = draw()
            said = "Which normalization holds" in figure.get_suptitle()
            assert said == title == bool(figure.get_suptitle())


def test_published_numbers_are_hollow_in_lines_and_ticks_in_strips() -> None:
    lines = figures(RESULTS["published lines"], pivot(RESULTS["published lines"]))["figure"]()
    hollow = [line for line in lines.axes[0].lines if line.get_gid() == "published"]
    assert hollow and {line.get_fillstyle() for line in hollow} == {"none"}
    numbers = {number.value for number in pivot(RESULTS["published strip"]).published}
    strip = figures(RESULTS["published strip"], pivot(RESULTS["published strip"]))["figure"]()
    ticks = [line for line in strip.axes[0].lines if line.get_gid() == "published"]
    assert {float(line.get_xdata()[0]) for line in ticks} == numbers
    for figure in (lines, strip):
        assert "published" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_legends_have_the_names_of_papers() -> None:
    results = batch_sizes(4, sizes=(2, 8))
    (legend,) = figures(results, pivot(results))["figure"]().legends
    names = [text.get_text().replace("\n", " ") for text in legend.get_texts()]
    assert names == ["BatchNorm", "BatchNorm, recomputed statistics", "GroupNorm", "GroupNorm + WS"]


def test_labels_wrap_between_words() -> None:
    results = RESULTS["long"]
    axes = figures(results, pivot(results), width=ONE_COLUMN)["figure"]().axes[0]
    lines = [label.get_text().split("\n") for label in axes.get_yticklabels()]
    words = [setting[0]["case"].split() for setting in [({"case": " ".join(each)},) for each in lines]]
    cases = [setting.axes["case"].split() for setting in read_sweep(str(SWEEP)).settings]
    assert words == cases and max(len(line) for each in lines for line in each) <= 22


def test_dollar_signs_are_plain_text() -> None:
    results = made_up([({"case": r"$\frac{1}{ costs 2$"}, [1.0]), ({"case": "2^"}, [2.0])])
    figure = figures(results, pivot(results))["figure"]()
    assert render(figure, "svg")
    assert r"$\frac{1}{ costs 2$" in [label.get_text().replace("\n", " ") for label in figure.axes[0].get_yticklabels()]
    assert NORMS
