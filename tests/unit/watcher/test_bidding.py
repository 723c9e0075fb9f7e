"""Who cannot read Docker lets another act."""

from __future__ import annotations

from interlock_watcher.bidding import AWAY, BLIND, TERM, Bidding


def test_a_watcher_bids_once_it_has_read_docker() -> None:
    bidding = Bidding()
    assert not bidding.bids(0.0, reachable=False)
    assert bidding.bids(0.1, reachable=True)


def test_a_short_fault_is_no_reason_to_stand_back() -> None:
    bidding = Bidding()
    bidding.bids(0.0, reachable=True)
    assert bidding.bids(1.0, reachable=False)
    assert bidding.bids(0.9 + BLIND, reachable=False)
    assert bidding.bids(1.0 + BLIND, reachable=True)


def test_without_docker_it_stands_back_and_comes_back_for_a_while() -> None:
    bidding = Bidding()
    bidding.bids(0.0, reachable=True)
    away = 1.0 + BLIND
    assert bidding.bids(1.0, reachable=False)
    assert not bidding.bids(away, reachable=False)
    assert not bidding.bids(away + AWAY - 0.1, reachable=False)
    assert bidding.bids(away + AWAY, reachable=False)
    assert not bidding.bids(away + AWAY + TERM, reachable=False)
    assert bidding.bids(away + AWAY + TERM + 0.1, reachable=True)


def test_one_that_has_never_read_docker_says_so_in_the_end() -> None:
    bidding = Bidding()
    assert not bidding.bids(0.0, reachable=False)
    assert bidding.bids(BLIND, reachable=False)
