"""What the simulated engine refuses, with the HTTP status that Docker gives it. Raised by the core, answered
by `api`."""

from __future__ import annotations

from interlock.errors import InterlockError


class Refused(InterlockError):
    """A request that Docker would refuse too; `status` is the HTTP status, the text is Docker's own wording."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def missing(kind: str, ref: str) -> Refused:
    """404 in Docker's words: `service shop not found`."""
    return Refused(404, f"{kind} {ref} not found")


def conflict(kind: str, name: str) -> Refused:
    """409 in Docker's words, for a name that is taken."""
    return Refused(
        409,
        f"rpc error: code = AlreadyExists desc = name conflicts with an existing object: {kind} {name} already exists",
    )
