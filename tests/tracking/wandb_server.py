"""A W&B server for tests, with as much of its interface as a run needs: runs, their history, their files."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["ServedRun", "served"]


@dataclass
class ServedRun:
    """A run as the server has it.

    Attributes:
        name: its id, as W&B's interface calls it.
        shown: what was set when it was opened: displayName, groupName, jobType, tags, config.
        history: a dict for each step.
        summary: the final values.
        files: names of its files.
        exit_code: None while it is open.
        opened: how often it was opened.
    """

    name: str
    shown: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    exit_code: int | None = None
    opened: int = 0

    def answer(self) -> dict[str, Any]:
        """The run in an answer to a query."""
        return {
            "id": base64.b64encode(self.name.encode()).decode(),
            "name": self.name,
            "displayName": self.shown.get("displayName"),
            "config": self.shown.get("config") or "{}",
            "summaryMetrics": json.dumps(self.summary),
            "historyLineCount": len(self.history),
            "historyTail": json.dumps([json.dumps(step) for step in self.history[-1:]]),
            "eventsLineCount": 0,
            "eventsTail": "[]",
            "logLineCount": 0,
            "tags": self.shown.get("tags") or [],
            "wandbConfig": json.dumps({"t": 1}),
            "project": {"name": "p", "entity": {"name": "me"}},
            "sweepName": None,
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._send({})

    def do_PUT(self) -> None:
        self._body()
        run, _, name = self.path.removeprefix("/upload/").partition("/")
        self.server.runs[run].files.add(name)
        self._send({})

    def do_POST(self) -> None:
        try:
            body = json.loads(self._body())
        except ValueError:  # Telemetry, which is no JSON.
            self._send({})
            return
        if self.path.endswith("/graphql"):
            self._send({"data": self._query(body.get("operationName"), body.get("variables") or {})})
        elif self.path.endswith("/file_stream"):
            self._stream(self.server.runs[self.path.split("/")[-2]], body)
            self._send({})
        else:
            self._send({})

    def _query(self, operation: str | None, given: dict[str, Any]) -> dict[str, Any]:
        runs = self.server.runs
        if operation == "RunResumeStatus":
            run = runs.get(given["name"])
            place = {"id": "x", "name": "p", "entity": {"id": "e", "name": "me"}}
            return {"model": {**place, "bucket": None if run is None else run.answer()}}
        if operation == "UpsertBucket":
            run = runs.setdefault(given["name"], ServedRun(given["name"]))
            run.opened += given.get("program") is not None  # Only when a run is opened.
            run.shown |= {key: value for key, value in given.items() if value is not None}
            return {"upsertBucket": {"bucket": run.answer(), "inserted": run.opened == 1}}
        if operation == "CreateRunFiles":
            here = f"http://{self.headers['Host']}/upload/{given['run']}"
            files = [{"name": name, "uploadUrl": f"{here}/{name}"} for name in given["files"]]
            return {"createRunFiles": {"runID": "x", "uploadHeaders": [], "files": files}}
        return {}

    @staticmethod
    def _stream(run: ServedRun, body: dict[str, Any]) -> None:
        for name, chunk in (body.get("files") or {}).items():
            if name.endswith("history.jsonl"):
                run.history[chunk["offset"] :] = [json.loads(line) for line in chunk["content"]]
            elif name.endswith("summary.json"):
                run.summary = json.loads(chunk["content"][-1])
        if body.get("complete"):
            run.exit_code = body["exitcode"]

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _send(self, answer: dict[str, Any]) -> None:
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class _Server(ThreadingHTTPServer):
    def __init__(self, runs: dict[str, ServedRun], port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.runs = runs

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # W&B closes connections in the middle.


@contextmanager
def served(runs: dict[str, ServedRun], port: int = 0) -> Iterator[str]:
    """A server that has some runs, by id, and gets more; its address."""
    server = _Server(runs, port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
