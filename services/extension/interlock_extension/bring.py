"""Bringing a draft into effect by the cheapest way that suffices: in place where the proxy can, else by a reload."""

from __future__ import annotations

from typing import Literal

import msgspec

from interlock.errors import NotInPlace
from interlock_extension.change import Draft
from interlock_extension.port import Change, Control, Proof


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, why, and what it took. `because`: one word for why it was a reload, empty where it was none."""

    result: Literal["updated", "reloaded"]
    reason: str
    because: str
    proof: Proof


def bring(control: Control, draft: Draft, note: str) -> Applied:
    """Apply the draft. Raises `ConfigRejected` and `ProxyUnavailable` as the control does."""
    reason, because = draft.rollout.reason, draft.rollout.because
    if draft.rollout.action == "update":
        try:
            proof = control.apply_delta(Change(hosts=draft.changes, files=draft.files), note)
        except NotInPlace as error:
            reason, because = f"{reason}: {error}", error.what
        else:
            return Applied(result="updated", reason=reason, because="", proof=proof)
    return Applied(result="reloaded", reason=reason, because=because, proof=control.apply_snapshot(draft.files, note))
