"""Whether what we know is fresh."""

from __future__ import annotations

from interlock_watcher.health import Health


def test_stale_until_the_first_listing_and_after_every_failure() -> None:
    health = Health(started=100, poll_interval=3)
    assert health.stale(101)[0] == 100
    health.listed(102, 0.1, nodes_unknown=False)
    assert health.stale(103) == (None, "")
    health.failed(104, "no answer")
    health.failed(105, "still none")
    assert health.stale(106) == (104, "still none")
    health.listed(107, 0.1, nodes_unknown=False)
    assert health.stale(108) == (None, "")


def test_a_docker_that_hangs_without_an_error_is_stale_too() -> None:
    health = Health(started=100, poll_interval=3)
    health.listed(100, 0.1, nodes_unknown=False)
    assert health.stale(104.9) == (None, "")
    since, why = health.stale(105.1)
    assert since == 103
    assert "too long" in why


def test_a_cut_stream_and_unknown_nodes() -> None:
    health = Health(started=100, poll_interval=3)
    health.listed(100, 0.1, nodes_unknown=True)
    assert "node" in health.stale(101)[1]
    health.listed(102, 0.1, nodes_unknown=False)
    assert health.stream(102, connected=True)
    assert health.stale(103) == (None, "")
    assert health.stream(104, connected=False)
    assert not health.stream(105, connected=False)
    assert health.stale(105) == (104, "Docker's event stream is cut: changes are seen by polling only")


def test_one_listing_that_waited_does_not_stretch_the_interval() -> None:
    health = Health(started=100, poll_interval=3)
    for seconds in (0.1, 30.0, 0.2):
        health.listed(101, seconds, nodes_unknown=False)
    assert health.listing_cost == 0.1
