"""A request whose body is still arriving while tasks come and go: it is in flight at the task it began with.

Were it held back until it is complete, it would go to an endpoint chosen when it began: drained by then, gone, or
another tenant's.
"""

from __future__ import annotations

import http.client
import socket

import pytest

from support.pipeline import Pipeline

AT_ONCE = 6


class Upload:
    """A POST whose head and first byte have been sent."""

    def __init__(self, pipeline: Pipeline, host: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", pipeline.port), timeout=10)
        head = f"POST /up HTTP/1.1\r\nHost: {host}\r\nContent-Length: 10\r\nConnection: close\r\n\r\n"
        self._socket.sendall(head.encode() + b"x")

    def finish(self) -> tuple[int, str | None, str | None]:
        """Send the rest; status, task and service that answered."""
        with self._socket:
            self._socket.sendall(b"x" * 9)
            answer = http.client.HTTPResponse(self._socket)
            answer.begin()
            answer.read()
            return answer.status, answer.getheader("x-task"), answer.getheader("x-service")


def begun(pipeline: Pipeline, host: str, wanted: int) -> list[Upload]:
    """Uploads that have reached a task each: what Swarm calls in flight."""
    uploads = [Upload(pipeline, host) for _ in range(AT_ONCE)]
    pipeline.wait(
        lambda: sum(t["in_flight"] for t in pipeline.sim.tasks()) >= wanted, "the uploads are in flight at tasks"
    )
    return uploads


def test_an_upload_finishes_at_the_task_it_began_with(pipeline: Pipeline) -> None:
    pipeline.service("up", replicas=2)
    pipeline.wait_effective("up")
    uploads = begun(pipeline, "up.test", AT_ONCE)
    pipeline.sim.scale("up", 1)
    pipeline.wait(
        lambda: (outcome := pipeline.outcome()) and outcome.endpoints == 1, "the drained task gets no new request"
    )
    answers = [upload.finish() for upload in uploads]
    assert [status for status, *_ in answers] == [200] * AT_ONCE
    assert len({task for _, task, _ in answers}) == 2
    for truth in pipeline.sim.tasks():
        assert truth["after_sigterm"] == []


@pytest.mark.parametrize("order", ["start-first", "stop-first"])
def test_an_upload_survives_a_rolling_update(pipeline: Pipeline, order: str) -> None:
    pipeline.service("up", replicas=2)
    pipeline.wait_effective("up")
    uploads = begun(pipeline, "up.test", AT_ONCE)
    pipeline.sim.update("up", env={"APP_VERSION": "2"}, order=order)
    pipeline.wait(
        lambda: any(t["sigterm"] for t in pipeline.sim.tasks()) or not pipeline.routes(), "a task has been told to stop"
    )
    assert [upload.finish()[0] for upload in uploads] == [200] * AT_ONCE
    pipeline.wait_effective("up", timeout=30)


def test_an_upload_never_reaches_whoever_has_the_address_now(pipeline: Pipeline) -> None:
    pipeline.service("former", replicas=1)
    pipeline.wait_effective("former")
    [address] = {t["address"] for t in pipeline.sim.tasks() if t["service"] == "former" and not t["exited"]}
    uploads = begun(pipeline, "former.test", AT_ONCE)
    pipeline.sim.remove("former")
    pipeline.wait(
        lambda: all(t["exited"] for t in pipeline.sim.tasks() if t["service"] == "former"), "the task is gone", 30
    )
    # Swarm frees an address some time after its task has ended, and gives the lowest that is free.
    others: list[str] = []
    while address not in {t["address"] for t in pipeline.sim.tasks() if t["service"] in others}:
        assert len(others) < 20, "nobody has the address"
        others.append(f"next{len(others)}")
        pipeline.service(others[-1], endpoint_mode="dnsrr")
        pipeline.wait_effective(others[-1])
    for upload in uploads:
        try:
            status, _, service = upload.finish()
        except (OSError, http.client.HTTPException):
            continue
        assert service in (None, "former"), f"{service} answered a request for former with {status}"
