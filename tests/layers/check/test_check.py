"""The report card: every norm of wsnet passes it, and each fault fails its own line."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from wsnet.config.norm import NormConfig
from wsnet.config.reading.own_files import with_source
from wsnet.layers import NORMS
from wsnet.layers.check import CHECKS, Finding, Subject, check
from wsnet.layers.check.cost import compiled

OWN = Path(__file__).parents[2] / "own_norms.py"
QUICK = [name for name in CHECKS if name not in ("cost", "torch.compile")]


def subject(name: str, **options: Any) -> Subject:
    data = with_source({"name": name if name in NORMS else f"{OWN}:{name}", **options})
    config = TypeAdapter(NormConfig).validate_python(data)
    return Subject(config=config, channels=8, size=(6, 7))


def card(of: Subject) -> dict[str, Finding]:
    return {name: check(of, name).finding for name in QUICK}


def verdicts(of: Subject, verdict: str) -> set[str]:
    return {name for name, finding in card(of).items() if finding.verdict == verdict}


@pytest.mark.slow
@pytest.mark.parametrize("name", NORMS)
def test_every_norm_of_wsnet_passes(name: str) -> None:
    found = card(subject(name, **({"groups": 4} if name in ("group", "evonorm_s0") else {})))
    assert {line: finding for line, finding in found.items() if finding.verdict == "fail"} == {}
    notes = {"online": {"gradients"}}.get(name, set())
    assert {line for line, finding in found.items() if finding.verdict == "note"} == notes
    kind = {"online": "a stream"}.get(name, "images do not influence each other")
    over_batch = subject(name).config.over_batch
    assert found["micro-batches"].text.startswith("statistics over the batch" if over_batch else kind)


@pytest.mark.slow
@pytest.mark.parametrize("name", NORMS)
def test_torch_compile_takes_every_norm_of_wsnet_whole(name: str) -> None:
    options = {"groups": 4} if name in ("group", "evonorm_s0") else {}
    assert compiled(subject(name, **options), backend="aot_eager").verdict == "pass"


def test_batch_renorm_declares_that_its_correction_is_a_constant() -> None:
    late = subject("batch_renorm", warmup_steps=0, r_max_steps=0, d_max_steps=0)
    text = check(late, "gradients").finding.text
    assert text.startswith("not the derivative, as declared: r and d are treated as constants")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"), [("PowerNorm", {"power": 0.5}), ("Sized", {}), ("StatisticsInFloat32", {})]
)
def test_a_sound_norm_of_ones_own_passes(name: str, options: dict[str, float]) -> None:
    assert verdicts(subject(name, batch_statistics=False, **options), "pass") == set(QUICK)
    # Without `batch_statistics`, which no other check reads, a note says that it could be set.
    assert check(subject(name, **options), "micro-batches").finding.verdict == "note"


def test_a_norm_that_wraps_one_of_torchs_passes() -> None:
    assert verdicts(subject("Inner", momentum=0.2), "pass") == set(QUICK)


@pytest.mark.parametrize(
    ("name", "lines", "said"),
    [
        ("MovesInEvaluation", {"frozen evaluation"}, "evaluation changes inner.running_mean by"),
        ("BatchInEvaluation", {"frozen evaluation"}, "an image's output differs by"),
        ("WrongBackward", {"gradients"}, "a gradient is not the derivative of forward: that of input differs by"),
        ("SavesItsOutput", {"activation in place"}, "an in-place ReLU after the norm breaks its backward"),
        ("NoSingleImage", {"batch of 1"}, "the output is not finite; take statistics over more than the images"),
        ("NoEps", {"constant maps"}, "of maps that are 0 everywhere is not finite"),
        ("ByMemory", {"channels_last"}, "from the contiguous layout's; index by dimension"),
        ("HiddenState", {"state_dict and copies"}, "after load_state_dict the"),
        ("LowPrecision", {"16 bits"}, "from float32; take the statistics in float32"),
    ],
)
def test_a_fault_fails_its_own_line(name: str, lines: set[str], said: str) -> None:
    found = card(subject(name))
    assert {line for line, finding in found.items() if finding.verdict == "fail"} == lines
    assert all(said in found[line].text for line in lines)


def test_a_norm_that_holds_on_to_a_batch_fails_where_the_batch_changes() -> None:
    found = check(subject("FixedBatch"), "other batch sizes").finding
    assert found.verdict == "fail" and "own_norms.py:" in found.text


def test_a_declared_surrogate_gradient_is_a_note() -> None:
    found = check(subject("Declared"), "gradients").finding
    assert found.verdict == "note" and "as declared: half is enough" in found.text


@pytest.mark.parametrize(
    ("name", "kind", "undeclared", "declared"),
    [
        ("Inner", "statistics over the batch", "pass", "fail"),
        ("OncePerBatch", "state that is updated once per batch", "pass", "fail"),
        ("Stream", "a stream", "note", "note"),
        ("PowerNorm", "images do not influence each other", "note", "pass"),
    ],
)
def test_what_images_do_to_each_other_must_be_what_is_said(
    name: str, kind: str, undeclared: str, declared: str
) -> None:
    said, denied = (check(subject(name, batch_statistics=b), "micro-batches").finding for b in (True, False))
    assert said.verdict == undeclared and said.text.startswith(kind)
    assert denied.verdict == declared and denied.text.startswith(kind)


@pytest.mark.slow
def test_a_graph_break_fails_the_compile_line() -> None:
    found = compiled(subject("BranchesOnValues"), backend="aot_eager")
    assert found.verdict == "fail" and "torch.compile(fullgraph=True) raises" in found.text


def test_state_that_is_not_detached_is_named_with_the_way_out() -> None:
    found = {finding.text for line, finding in card(subject("NotDetached")).items()}
    assert found == {
        "mean keeps the graph of the batch, so the next backward fails; update it under torch.no_grad(), or from a "
        "detached value such as mean.detach()"
    }


def test_another_shape_fails_every_line_that_sees_it() -> None:
    found = card(subject("AnotherShape"))
    assert "the output must have the shape of the input" in found["batch of 1"].text


def test_the_cost_is_a_ratio_and_never_a_fault() -> None:
    found = check(subject("PowerNorm"), "cost").finding
    assert found.verdict == "note" and " x nn.BatchNorm2d" in found.text
