"""What the device answers, by the shapes of F5's "AS3 API Reference": its words, and whether they are a yes. Pure.

Nothing is taken for granted: what has another shape raises `ProxyUnavailable` that names what came.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from interlock.errors import ProxyUnavailable

_MOST_SHOWN = 300
_MOST_QUOTED = 80
_DONE = 200
_T = TypeVar("_T")


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one tenant, or of all where none is named. `code`: as HTTP's; 0 until the device is done."""

    tenant: str | None = None
    code: int | None = None
    message: str | None = None
    response: str | None = None
    errors: tuple[str, ...] | None = None


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """What comes with any answer but that to the question for a declaration. `id`: of the task that was begun."""

    id: str | None = None
    message: str | None = None
    errors: tuple[str, ...] | None = None
    results: tuple[Result, ...] | None = None
    declaration: dict[str, Any] | None = None

    @property
    def under_way(self) -> bool:
        """Whether the device is still at work."""
        return any(result.message == "in progress" for result in self.results or ())


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A status, and the bytes that came with it. `to`: the question, with the device's name, for messages."""

    to: str
    status: int
    data: bytes = b""

    def body(self) -> Body:
        """Raises `ProxyUnavailable` for anything else."""
        return self._read(Body)

    def declaration(self) -> dict[str, Any]:
        """What the device has, tenants by name. Raises `ProxyUnavailable` for anything else."""
        return self._read(dict[str, Any])

    def _read(self, kind: type[_T]) -> _T:
        try:
            return msgspec.json.decode(self.data or b"{}", type=kind)
        except (ValueError, RecursionError) as error:
            raise ProxyUnavailable(
                f"{self.to}: it answers {self.status} with something else than AS3 does: "
                f"{str(error)[:_MOST_QUOTED]}: {self.data[:_MOST_QUOTED]!r}"
            ) from error


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`done`: the device says of our tenant that it did it. `code`: of its refusal; 0 where it said neither."""

    done: bool
    code: int = 0
    words: str = ""


def judge(status: int, body: Body, tenant: str) -> Verdict:
    """A status of 200 alone is no yes, nor is what became of others; AS3 says `no change` with a code of 200, too."""
    ours = [result for result in body.results or () if result.tenant == tenant]
    general = [result for result in body.results or () if not result.tenant]
    refused = [result.code for result in (*ours, *general) if result.code is not None and result.code >= 400]
    # With several tenants that fare differently, it is 207.
    if status in {200, 207} and ours and all(result.code == _DONE for result in ours) and not refused:
        return Verdict(done=True)
    code = refused[0] if refused else status if status >= 300 else 0
    return Verdict(done=False, code=code, words=said(code or status, body, (*ours, *general)))


def said(code: int, body: Body, about: tuple[Result, ...] = ()) -> str:
    """What the device said against something, for people. `about`: of its results those that count; else all do."""
    words = [body.message, *(body.errors or ())]
    for result in about or body.results or ():
        other = f"of {result.tenant}, {result.code}: " if not about and result.tenant else ""
        words += [f"{other}{result.message or ''}", result.response, *(result.errors or ())]
    return f"{code} {'; '.join(word for word in words if word) or 'without a word'}"[:_MOST_SHOWN].strip()
