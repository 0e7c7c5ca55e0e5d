"""Whatever a sweep file holds, a dry run ends with what it would cost, or says what is wrong where.

WSNET_FUZZ=2000 pytest -n 0 -s tests/sweep/test_mutated_files.py tries 2,000 files, and prints the longest time and the
memory that they took.
"""

import json
import os
import resource
import time
from pathlib import Path

import pytest

from wsnet.sweep.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]


def test_a_dry_run_of_any_file_gives_its_cost_or_its_mistakes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Here, since hypothesis takes a second to import.
    from hypothesis import HealthCheck, given, settings

    from tests.sweep.mutations import FILES, garbled, resized

    path = tmp_path / "mutated.yaml"
    statuses: list[int] = []
    slowest: list[tuple[float, str]] = []

    @settings(
        max_examples=int(os.environ.get("WSNET_FUZZ", "40")),
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(text=resized() | garbled())
    def dry_run(text: str) -> None:
        path.write_bytes(text.encode())
        began = time.process_time()
        status = main([str(path), "--dry-run", "--storage", str(tmp_path / "runs")], conclude=lambda *_: None)
        slowest.append((time.process_time() - began, text))
        slowest[:] = sorted(slowest)[-5:]
        out, err = capsys.readouterr()
        statuses.append(status)
        assert status in (0, 2) and "Traceback" not in out + err
        if status == 2:
            lines = [line for line in err.splitlines() if not line.startswith("warning: ")]
            assert lines and all(len(line) < 7000 for line in lines)
            assert lines[0].startswith((str(path), "--set"))
        assert [file.name for file in tmp_path.iterdir()] == [path.name], "something is left behind"

    path.write_text(json.dumps(FILES[0]))
    assert main([str(path), "--dry-run"], conclude=lambda *_: None) == 0  # Imports torch, which takes seconds.
    dry_run()
    assert {0, 2} <= set(statuses)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    with capsys.disabled():
        good = f"{statuses.count(0)} of {len(statuses)} files could be run"
        print(f"\n{good}; at most {slowest[-1][0]:.1f} s of CPU each, {memory:.2f} GB in all")
        if "WSNET_FUZZ" in os.environ:
            print("\n".join(f"{seconds:.1f} s: {text[:1000]}" for seconds, text in slowest))
