"""A draft in place where the proxy can, else by a reload that says why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import pytest

from interlock.errors import ConfigRejected, NotInPlace
from interlock_extension.bring import bring
from interlock_extension.change import Draft
from interlock_extension.port import Change, Control, Proof
from interlock_extension.rollout import Rollout
from support.nginx_lab import view

PROOF = Proof(applying_at=1.0, effective_at=2.0, let_go_at=3.0)
CHANGES = {"a": (view("a", 1), view("a", 2))}
FILES: dict[str, bytes | None] = {"hosts/a.conf": b"new", "hosts/b.conf": None}
UPDATE = Rollout(action="update", reason="endpoints a")


class Proxy:
    """Takes what it is given; in place only where there is no `error`."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.given: list[object] = []

    def apply_delta(self, change: Change, note: str) -> Proof:
        self.given.append((change, note))
        if self.error:
            raise self.error
        return PROOF

    def apply_snapshot(self, files: Mapping[str, bytes | None], note: str) -> Proof:
        self.given.append((dict(files), note))
        return PROOF


def draft(found: Rollout) -> Draft:
    return Draft(views={"a": view("a", 2)}, changes=CHANGES, files=FILES, rollout=found)


def test_what_can_be_done_in_place_is_done_so() -> None:
    proxy = Proxy()
    applied = bring(cast("Control", proxy), draft(UPDATE), "v")
    assert proxy.given == [(Change(hosts=CHANGES, files=FILES), "v")]
    assert (applied.result, applied.reason, applied.because, applied.proof) == ("updated", "endpoints a", "", PROOF)


def test_what_cannot_after_all_is_a_reload_that_says_why() -> None:
    proxy = Proxy(NotInPlace("no spare server is left", what="spares"))
    applied = bring(cast("Control", proxy), draft(UPDATE), "v")
    assert proxy.given == [(Change(hosts=CHANGES, files=FILES), "v"), (FILES, "v")]
    assert (applied.result, applied.because) == ("reloaded", "spares")
    assert applied.reason == "endpoints a: no spare server is left"


def test_what_needs_a_reload_is_not_tried_in_place() -> None:
    proxy = Proxy()
    applied = bring(cast("Control", proxy), draft(Rollout(action="reload", reason="added a", because="routes")), "v")
    assert proxy.given == [(FILES, "v")]
    assert (applied.result, applied.reason, applied.because) == ("reloaded", "added a", "routes")


def test_what_is_refused_in_place_is_not_tried_again_by_a_reload() -> None:
    proxy = Proxy(ConfigRejected("no", culprit="hosts/a.conf"))
    with pytest.raises(ConfigRejected):
        bring(cast("Control", proxy), draft(UPDATE), "v")
    assert len(proxy.given) == 1
