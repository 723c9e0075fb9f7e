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
    assert healthy_not_in(seen, full)


def healthy_not_in(seen: set[tuple[str, int]], full: tuple[str, int]) -> bool:
    return {peer for peer in seen if peer[0] == "127.0.0.1"} == {full}


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


def test_a_kernel_that_cannot_be_asked_is_said_once_and_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> set[object]:
        raise OSError("no inet_diag")

    monkeypatch.setattr(stalled, "unanswered", refuse)
    stop = threading.Event()
    thread = threading.Thread(target=stalled.follow, args=(lambda _: None, stop))
    thread.start()
    # It ends with stop only: a thread that returns early would take the worker with it.
    thread.join(0.5)
    assert thread.is_alive()
    stop.set()
    thread.join(5)
    assert not thread.is_alive()
