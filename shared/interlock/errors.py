"""The exception tree. A user's mistake is not here: that is a value (`interlock.model.problem.Problem`).

    InterlockError                 everything we raise on purpose
    ├── ConfigError                an option, URL, environment variable or config file that cannot be used
    ├── PartMissing                a program we need (Redis or Valkey, nginx) was found nowhere; names the remedies
    ├── WireError                  bytes on the bus that we refuse
    │   ├── SchemaRefused          a schema number that this reader does not speak
    │   └── FrameRefused           not a frame of ours, or a body of the wrong shape; names the path inside it
    ├── BusError                   the bus could not be asked, or refused
    │   ├── BusUnavailable         no connection, a time-out, loading, read-only: may be repeated
    │   ├── BusFull                no memory left even after the logs were trimmed
    │   ├── NotAllowed             our user may not do this there (ACL)
    │   ├── Corrupted             a key of ours holds something that we have not put there
    │   ├── Fenced                 a writer with a newer token has been here: stop acting, lease again
    │   └── Diverged               the partition is not what this writer last wrote: read it and replace
    ├── DockerError                the Docker Engine could not be asked, or refused
    │   ├── DockerUnavailable      no connection, a time-out, 5xx: may be repeated, nothing is withdrawn
    │   │   └── DockerFailed       5xx or no answer in time: this request failed, the next one may not
    │   ├── DockerRefused          4xx other than 404, or a reply of the wrong shape
    │   └── NotFound               404: the object is not there
    └── ProxyError                 the proxy refused or could not be reached
        ├── ConfigRejected         the proxy's own check refused a configuration; names the culprit
        ├── NotInPlace             a change that the running proxy cannot take without a reload
        └── ProxyUnavailable       the proxy does not run, or does not answer

Foreign exceptions are translated where they enter (bus, docker_source, control), with the cause kept.
"""

from __future__ import annotations


class InterlockError(Exception):
    """Base of everything Interlock raises on purpose. The message says what, which object, and what to do."""


class ConfigError(InterlockError):
    """A setting that cannot be used; the message names where it came from, the key, the value and the remedy."""


class PartMissing(InterlockError):
    """A program we need was not found; the message names every remedy."""


class WireError(InterlockError):
    """Bytes from the bus that this reader refuses. Routing goes on with what was accepted before."""


class SchemaRefused(WireError):
    """The frame's schema number is neither ours nor the one before it."""


class FrameRefused(WireError):
    """The bytes are not a frame, or its body has the wrong shape; the message names the path inside the frame."""


class BusError(InterlockError):
    """The bus could not be asked, or refused."""


class BusUnavailable(BusError):
    """No answer from the bus: connection, time-out, still loading, read-only replica. May be repeated."""


class BusFull(BusError):
    """The bus has no memory left even after the logs were trimmed."""


class NotAllowed(BusError):
    """The bus' users (ACL) do not allow this to ours; `interlock acl` makes users that fit."""


class Corrupted(BusError):
    """A key of ours is of another type than ours; its writer puts it right, its readers take it for missing."""


class Fenced(BusError):
    """A newer token has written to the partition; the caller must stop acting and lease again.

    Attributes: `seen`, the highest epoch the partition has seen.
    """

    def __init__(self, message: str, *, seen: int) -> None:
        super().__init__(message)
        self.seen = seen


class Diverged(BusError):
    """The partition's hash is missing or not what this writer last wrote (restore, flush, failover)."""


class DockerError(InterlockError):
    """The Docker Engine could not be asked, or refused."""


class DockerUnavailable(DockerError):
    """No usable answer from Docker. Never to be read as 'nothing there'."""


class DockerFailed(DockerUnavailable):
    """Docker was reached but failed at this request, or did not answer it in time; another may well be answered."""


class DockerRefused(DockerError):
    """Docker answered that it will not, or with a reply that we cannot read."""


class NotFound(DockerError):
    """Docker says that the object does not exist."""


class ProxyError(InterlockError):
    """The proxy refused or could not be reached."""


class ConfigRejected(ProxyError):
    """The proxy's own check refused a configuration.

    Attributes: `culprit`, the virtual host or file that was refused, or None where the proxy did not say.
    """

    def __init__(self, message: str, *, culprit: str | None = None) -> None:
        super().__init__(message)
        self.culprit = culprit


class NotInPlace(ProxyError):
    """A change that the proxy cannot take while it runs; nothing was changed, and a reload brings it into effect.

    Attributes: `what`, one word for a metric, such as `spares`.
    """

    def __init__(self, message: str, *, what: str) -> None:
        super().__init__(message)
        self.what = what


class ProxyUnavailable(ProxyError):
    """The proxy does not run or does not answer."""
