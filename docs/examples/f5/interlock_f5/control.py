"""One tenant of a device under a fence: read, compare, write, prove. A shell.

No two workers write to it, whatever holds one of them up, by three things. A write is sent only while the lease will
certainly last for longer than sending may take. The tenant says under which fence it was written last, and who finds
a greater one than its own writes nothing. And each write names the state that it was made from (`optimisticLockKey`),
so that the device itself refuses one that comes late. For the last to hold, whoever takes a tenant over writes its
fence at once, even where nothing else differs.

A write is proven by the device's word for this very tenant, or by reading the tenant back; by nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from interlock.errors import ConfigRejected, ProxyUnavailable
from interlock.model.version import Token
from interlock.runtime.logging import get_logger
from interlock_extension.port import Change, Fence, Kind, Proof, Started
from interlock_f5.answer import Answer, Body, Verdict, judge, said
from interlock_f5.declaration import Found, compose, declare, read
from interlock_f5.device import DECLARE, TASK, Device
from interlock_f5.options import F5Options

MARGIN = 0.1
"""Seconds that a lease must last beyond the longest sending."""

_FIRST_POLL, _LONGEST_POLL = 0.02, 1.0
_MOST_QUOTED = 80


class _Base(msgspec.Struct, frozen=True, kw_only=True):
    """What the device has, and the key of exactly that; no key where there is no tenant."""

    found: Found
    key: str = ""


class F5Control:
    """See `Control`. `_base` is None where it is not known what the device has; `_wanted` was proven last."""

    def __init__(self, device: Device, tenant: str, fence: Fence, options: F5Options) -> None:
        self._device = device
        self._tenant = tenant
        self._fence = fence
        self._options = options
        self._log = get_logger(service="extension", proxy="f5", tenant=tenant)
        self._where = f"{device.name}: tenant {tenant}"
        self._base: _Base | None = None
        self._wanted = Found()
        self._files: dict[str, bytes] = {}
        self._note = ""
        self._look_at = 0.0
        self._reached = False
        self._told: set[str] = set()
        self._totals = dict.fromkeys(("device_writes", "device_refusals"), 0.0)

    # The port

    def start(self, files: Mapping[str, bytes]) -> Started:  # noqa: ARG002  # the device runs, and has its own
        """Learn what the device has, and write our fence to it. Nothing else is written before the plan was read."""
        self._base = None
        base = self._read()
        self._files, self._wanted = dict(base.found.files), base.found
        token = self._token()
        if base.found.epoch != token.epoch:
            self._write(self._files, self._note or "taken over")
        return "adopted"

    def installed(self) -> dict[str, bytes]:
        """What the tenant holds of ours."""
        return dict(self._files)

    @property
    def in_place(self) -> frozenset[Kind]:
        """Everything: a device is declared anew while it serves."""
        return frozenset(("endpoints", "routes", "certificates", "structure"))

    def apply_delta(self, change: Change, note: str) -> Proof:
        """See `Control.apply_delta`."""
        return self._apply(change.files, note)

    def apply_snapshot(self, files: Mapping[str, bytes | None], note: str) -> Proof:
        """See `Control.apply_snapshot`."""
        return self._apply(files, note)

    def probe(self) -> bool | None:
        """Whether the tenant is what was proven last, asked every `look_every` seconds."""
        if self._base is None or time.monotonic() < self._look_at:
            return None
        before = self._base
        try:
            found = self._read()
        except ProxyUnavailable as error:
            self._log.warning("the device cannot be asked", error=str(error))
            return None
        token = self._fence.token(0.0)
        if token is None or found.found.epoch > token.epoch:
            # Another worker's by now: there is nothing for us to put right.
            return None
        return found.key == before.key and found.found == self._wanted

    def check(self, hosts: Mapping[str, bytes]) -> None:
        """A dry run with these hosts alone."""
        token = self._token()
        files = {name: data for name, data in self._files.items() if not name.startswith("hosts/")}
        files |= {f"hosts/{number}": data for number, data in enumerate(hosts.values())}
        body = declare(self._tenant, compose(files, token, "dry run"), dry_run=True)
        verdict, _ = self._done(self._device.post(f"{DECLARE}?async=true", body, lambda: None))
        if not verdict.done:
            raise self._refusal(verdict)

    def alive(self) -> bool:
        """Whether the device has been reached once: that it runs is not our doing."""
        return self._reached

    def witness(self) -> None:
        """None: the proxy is elsewhere."""
        return

    def tend(self) -> dict[str, float]:
        """What was written and refused, and the fence of the last write."""
        return {**self._totals, "device_epoch": float(self._base.found.epoch if self._base else 0)}

    def stop(self, timeout: float) -> None:
        """Nothing: others serve on with it."""

    def leave(self) -> None:
        """Nothing: no connection outlives a request."""

    # Writing

    def _apply(self, files: Mapping[str, bytes | None], note: str) -> Proof:
        began = time.time()
        wanted = {name: data for name, data in {**self._files, **files}.items() if data is not None}
        self._write(wanted, note)
        self._files, self._note = wanted, note
        now = time.time()
        # A member that is left out gets no new request from the moment that the device says so.
        return Proof(applying_at=began, effective_at=now, let_go_at=now, detail=f"{now - began:.3f} s")

    def _token(self) -> Token:
        token = self._fence.token(self._options.submit_timeout + MARGIN)
        if token is None:
            raise ProxyUnavailable("the lease is not held for long enough: another worker may act for this cluster")
        return token

    def _write(self, files: Mapping[str, bytes], note: str) -> None:
        token = self._token()
        base = self._base or self._read()
        self._stand_back(base.found, token)
        tenant = compose(files, token, note)
        body = declare(self._tenant, tenant, lock=base.key)

        def ready() -> None:
            # Between here and the device there is only the sending.
            if self._token() != token:
                raise ProxyUnavailable("the lease has changed hands; the device is read anew")

        # Until it is answered, nobody knows what the device has.
        self._base = None
        verdict, answered = self._done(self._device.post(f"{DECLARE}?async=true&showHash=true", body, ready))
        wanted = read(tenant)
        key = _key_of(answered.declaration, self._tenant) if verdict.done else ""
        if key:
            self._base = _Base(found=wanted, key=key)
        elif self._read().found != wanted:
            self._totals["device_refusals"] += 1
            raise self._why(verdict, base)
        self._totals["device_writes"] += 1
        self._wanted = wanted
        self._say_ignored(tenant)

    def _stand_back(self, found: Found, token: Token) -> None:
        """Raises where the device has been written to under a newer fence than ours, or under another of its number."""
        if (found.epoch, found.nonce) == (token.epoch, token.nonce) or found.epoch < token.epoch:
            return
        self._base = None
        self._fence.outbid(found.epoch)
        raise ProxyUnavailable(f"the device was written to under a newer fence, {found.epoch}; ours is {token.epoch}")

    def _why(self, verdict: Verdict, base: _Base) -> ProxyUnavailable | ConfigRejected:
        """A refusal is of the declaration only if the tenant, read anew, is still what that was made from."""
        if verdict.done:
            return ProxyUnavailable(f"{self._where}: the device says that it took it, and has something else")
        if self._base is None or self._base.key != base.key:
            return ProxyUnavailable(
                f"{self._where}: somebody else has written to the tenant; it is read anew. The device: {verdict.words}"
            )
        return self._refusal(verdict)

    def _refusal(self, verdict: Verdict) -> ProxyUnavailable | ConfigRejected:
        words = verdict.words
        if not verdict.code:
            return ProxyUnavailable(f"{self._where}: the device does not say that it took it: {words}")
        if verdict.code not in {400, 422}:
            return ProxyUnavailable(f"{self._where}: the device does not take it: {words}")
        app = next((part for part in words.replace("'", "/").split("/") if part.startswith("h_")), "")
        return ConfigRejected(
            f"{self._where}: the device refuses it: {words}", culprit=f"hosts/{app}.json" if app else None
        )

    def _done(self, answer: Answer) -> tuple[Verdict, Body]:
        """The end of what the device was told to do: a task, where it answers 202."""
        deadline = time.monotonic() + self._options.task_timeout
        pause = _FIRST_POLL
        body = answer.body()
        task = body.id
        while answer.status == 202 or (answer.status == 200 and body.under_way):
            if not task:
                raise ProxyUnavailable(f"{self._where}: the device is at work, and names no task: {answer.status}")
            if time.monotonic() > deadline:
                raise ProxyUnavailable(
                    f"{self._where}: the device has not done it within {self._options.task_timeout:g} s"
                )
            if self._fence.token(0.0) is None:
                raise ProxyUnavailable(
                    "the lease has ended while the device was at work; who holds it reads what became"
                )
            time.sleep(pause)
            pause = min(_LONGEST_POLL, pause * 1.5)
            answer = self._device.get(f"{TASK}/{quote(task, safe='')}")
            body = answer.body()
        return judge(answer.status, body, self._tenant), body

    # Reading

    def _read(self) -> _Base:
        self._look_at = time.monotonic() + self._options.look_every
        answer = self._device.get(f"{DECLARE}/{self._tenant}?showHash=true")
        if answer.status not in {200, 204, 404}:
            words = said(answer.status, answer.body())
            raise ProxyUnavailable(f"{self._where}: the device does not tell what it has: {words}")
        declared = answer.declaration() if answer.status == 200 else {}
        tenant = declared.get(self._tenant)
        # That there is none would be 204 or 404.
        if answer.status == 200 and not isinstance(tenant, dict):
            raise ProxyUnavailable(
                f"{self._where}: the device answers 200 without the tenant: {answer.data[:_MOST_QUOTED]!r}"
            )
        self._base = _Base(found=read(tenant), key=_key_of(declared, self._tenant))
        self._reached = True
        return self._base

    def _say_ignored(self, tenant: Mapping[str, Any]) -> None:
        for app in tenant.values():
            about = app.get("constants", {}) if isinstance(app, dict) else {}
            for what in about.get("ignored", ()):
                said_of = f"host {about.get('host')}: {what}"
                if said_of not in self._told:
                    self._told.add(said_of)
                    self._log.warning("a label is not honoured by F5", what=said_of)


def _key_of(declaration: object, tenant: str) -> str:
    found = declaration.get(tenant) if isinstance(declaration, dict) else None
    key = found.get("optimisticLockKey") if isinstance(found, dict) else None
    return key if isinstance(key, str) else ""
