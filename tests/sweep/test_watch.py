"""What a user is told while nothing seems to happen."""

import io
import socket
import time

from rich.console import Console

from tests.sweep.test_board import tally
from wsnet.sweep.cluster.watch import watched
from wsnet.sweep.formatting import announced
from wsnet.sweep.progress import ProgressDisplay


def _until(condition: object, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:  # type: ignore[operator]
        time.sleep(0.01)


def test_a_cluster_that_ends_is_told_in_a_sentence_once() -> None:
    out = io.StringIO()
    server = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{server.getsockname()[1]}"
    with watched(address, Console(file=out), every=0.05):
        time.sleep(0.5)
        assert out.getvalue() == ""
        server.close()
        _until(out.getvalue)
        time.sleep(0.3)
    assert out.getvalue().startswith(f"the Ray cluster at {address} no longer answers")
    assert out.getvalue().count("\n") == 1


def test_what_is_waited_for_is_a_line_where_there_is_no_terminal() -> None:
    out = io.StringIO()
    with announced("starting Ray", Console(file=out)):
        assert out.getvalue() == "starting Ray ...\n"


def test_until_the_first_trial_runs_the_progress_says_what_is_going_on() -> None:
    out, board = io.StringIO(), tally(settings=1, seeds=2)
    with ProgressDisplay(board, Console(file=out, width=200)):
        assert "trials 0/2: the first trials' processes are starting, " in out.getvalue()
        board.started("0-0")
    assert out.getvalue().splitlines()[-1].startswith("trials 0/2: 1 running, ")
