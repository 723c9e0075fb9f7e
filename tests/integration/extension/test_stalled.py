"""The kernel's list of connections that wait for their first answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from interlock_extension import stalled
from support.nginx_lab import until


@pytest.fixture
def full() -> Iterator[tuple[str, int]]:
    """An address on loopback that answers no connection: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = []
        for _ in range(4):
            link = socket.socket()
            link.setblocking(False)
            link.connect_ex(listener.getsockname())
            waiting.append(link)
        yield listener.getsockname()
        for link in waiting:
            link.close()


def test_who_does_not_answer_is_seen_and_who_answers_is_not(full: tuple[str, int]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as healthy, socket.create_connection(healthy.getsockname()):
        seen = {peer for _, peer in stalled.unanswered()}
        assert full in seen
        assert healthy.getsockname() not in seen


def test_news_come_of_who_is_seen_twice(full: tuple[str, int]) -> None:
    told: list[frozenset[tuple[str, int]]] = []
    stop = threading.Event()
    thread = threading.Thread(target=stalled.follow, args=(told.append, stop))
    thread.start()
    try:
        until(lambda: any(full in peers for peers in told), "it is told")
    finally:
        stop.set()
        thread.join()


def test_a_kernel_that_cannot_be_asked_is_asked_again(full: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    ask, failures = stalled.unanswered, [OSError("no buffer space"), OSError("no buffer space")]

    def sometimes() -> set[tuple[int, stalled.Peer]]:
        if failures:
            raise failures.pop()
        return ask()

    monkeypatch.setattr(stalled, "unanswered", sometimes)
    monkeypatch.setattr(stalled, "_AGAIN", 0.05)
    told: list[frozenset[stalled.Peer]] = []
    stop = threading.Event()
    thread = threading.Thread(target=stalled.follow, args=(told.append, stop))
    thread.start()
    try:
        until(lambda: any(full in peers for peers in told), "it is told after all")
    finally:
        stop.set()
        thread.join()
