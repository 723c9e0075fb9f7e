"""Websockets: where they are asked for, and for as long as they like."""

from __future__ import annotations

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from support.pipeline import PREFIX, Pipeline
from support.websocket import opened


def _open(pipeline: Pipeline, path: str) -> ClientConnection:
    return opened(pipeline.port, "chat.test", path)


def test_case_19_websockets(pipeline: Pipeline) -> None:
    """Case 19: 101 at the endpoint, plain HTTP elsewhere; an open one outlives what others do."""
    pipeline.service("chat", replicas=2, labels={"hosts": "chat.test", "websocket_endpoints": "/ws"})
    pipeline.wait_routed("chat.test")
    with _open(pipeline, "/ws") as link:
        link.send("hello")
        assert link.recv(timeout=5) == "hello"
        assert pipeline.get("chat.test", "/ws").status == 200
        assert pipeline.get("chat.test").status == 200
        for number in range(5):
            pipeline.service(f"other-{number}")
            pipeline.wait_routed(f"other-{number}.test")
            link.send(str(number))
            assert link.recv(timeout=5) == str(number)


def test_case_19_no_websocket_where_none_is_asked_for(pipeline: Pipeline) -> None:
    pipeline.service("chat", labels={"hosts": "chat.test", "websocket_endpoints": "/ws,nonsense"})
    pipeline.wait_routed("chat.test")
    with pytest.raises(InvalidStatus):
        _open(pipeline, "/other")
    [problem] = pipeline.problems("chat")
    assert (problem.code, problem.value) == ("websocket-invalid", "nonsense")
    pipeline.sim.set_labels("chat", {PREFIX + "websocket_endpoints": "/"})
    pipeline.wait(lambda: pipeline.problems("chat") == (), "the new labels count")
    pipeline.wait(lambda: _answers(pipeline, "/other"), "the whole host takes them")


def _answers(pipeline: Pipeline, path: str) -> bool:
    try:
        with _open(pipeline, path) as link:
            link.send("x")
            return link.recv(timeout=5) == "x"
    except InvalidStatus:
        return False
