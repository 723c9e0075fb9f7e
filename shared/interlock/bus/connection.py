"""The connection to one Redis or Valkey server: a client for writes, one for blocking reads, errors translated.

Connecting does not wait for the server: whoever asks first meets `BusUnavailable` and tries again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.retry import Retry

from interlock.bus.scripts import Script
from interlock.errors import BusError, BusFull, BusUnavailable, ConfigError, Corrupted, Diverged, Fenced, NotAllowed

WRITE_TIMEOUT = 5.0
"""Seconds. A writer that waits longer would outlive its lease anyway."""

MOST_BLOCK = 2.0
"""Seconds that a blocking read waits at most; the client's own time-out lies above it (redis-py's default does not)."""

_PASSWORD = re.compile(r"(?<=://)([^/@:]*):.*@|(?<=[?&]password=)[^&]*")

Argument = str | bytes | int | float


class Bus:
    """One server. Safe for several threads; each blocking reader takes a connection of its own from the pool."""

    def __init__(self, url: str, *, name: str = "interlock") -> None:
        self.url = without_password(url)
        self._writes = self._client(url, name, WRITE_TIMEOUT)
        self._reads = self._client(url, f"{name}-reader", MOST_BLOCK + 5.0)

    @classmethod
    def connect(cls, url: str, *, name: str = "interlock") -> Bus:
        """A bus for a `redis://`, `rediss://` or `unix://` URL. Raises `ConfigError` for any other."""
        shown = without_password(url)
        scheme = url.partition(":")[0].lower()
        if scheme not in {"redis", "rediss", "unix"}:
            raise ConfigError(
                f"the bus URL {shown!r} has the scheme {scheme!r}: "
                "give redis://host:6379/0, rediss://… or unix:///path.sock"
            )
        try:
            bus = cls(url, name=name)
            # A parameter that the client does not know is refused when it connects, not when it is made.
            bus.check()
        except (ValueError, TypeError):
            # The cause is left out on purpose: it quotes the part of the URL that it could not read.
            raise ConfigError(
                f"the bus URL {shown!r} cannot be used: correct its host, port or database, and percent-encode what "
                "is neither letter nor digit in its password"
            ) from None
        return bus

    @staticmethod
    def _client(url: str, name: str, timeout: float) -> redis.Redis:
        return redis.Redis.from_url(
            url,
            protocol=2,
            client_name=name,
            socket_timeout=timeout,
            socket_connect_timeout=WRITE_TIMEOUT,
            # A repeated write would be a second write: who calls decides what may be repeated.
            retry=Retry(NoBackoff(), 0),
        )

    def check(self) -> None:
        """Makes a connection object without connecting it. Raises `TypeError` or `ValueError` for a bad parameter."""
        pool = self._writes.connection_pool
        pool.connection_class(**pool.connection_kwargs)

    def close(self) -> None:
        """Closes every connection."""
        self._writes.close()
        self._reads.close()

    def command(self, *args: Argument) -> Any:
        """One command on the writing client. Raises `BusUnavailable`, or `BusError` for a refusal."""
        with translated(self.url):
            return self._writes.execute_command(*args)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped

    def blocking(self, *args: Argument) -> Any:
        """One command on the reading client, which waits longer than any BLOCK that we ask for."""
        with translated(self.url):
            return self._reads.execute_command(*args)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped

    def pipeline(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """Several commands in one round trip, without a transaction; None for one that the server refused.

        One partition's corrupted key is not to keep anybody from the others.
        """
        with translated(self.url):
            pipe = self._writes.pipeline(transaction=False)
            for args in commands:
                pipe.execute_command(*args)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
            answers: list[Any] = pipe.execute(raise_on_error=False)
            return [None if isinstance(answer, ResponseError) else answer for answer in answers]

    def run(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """One atomic step. Raises `Fenced` and `Diverged` as the script says, and `OutOfMemory` as `BusFull`."""
        with translated(self.url):
            try:
                return self._writes.evalsha(script.sha, len(keys), *keys, *args)
            except redis.exceptions.NoScriptError:
                return self._writes.eval(script.text, len(keys), *keys, *args)

    def ping(self) -> None:
        """Raises `BusUnavailable` unless the server answers."""
        self.command("PING")

    def server_time(self) -> float:
        """The server's clock, Unix seconds."""
        seconds, micros = self.command("TIME")
        return int(seconds) + int(micros) / 1e6


def without_password(url: str) -> str:
    """The URL as it may be shown: logs and error messages are read by more people than hold the password."""
    return _PASSWORD.sub(lambda found: "***" if found[1] is None else f"{found[1]}:***@", url)


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Redis' exceptions as ours, the cause kept."""
    try:
        yield
    except OutOfMemoryError as error:
        raise BusFull(
            f"the bus at {url} has no memory left: {error}; raise maxmemory or shorten the retention"
        ) from error
    except AuthenticationError as error:
        # Users are reloaded while we run: what is refused now may be right in a moment.
        raise BusUnavailable(
            f"the bus at {url} refuses our user or password: {error}; correct --bus or --bus-file, or the bus' users"
        ) from error
    except (redis.ConnectionError, redis.TimeoutError, BusyLoadingError, ReadOnlyError) as error:
        raise BusUnavailable(f"the bus at {url} cannot be asked: {error}") from error
    except (ClusterDownError, MasterDownError) as error:
        raise BusUnavailable(f"the bus at {url} has no master: {error}") from error
    except ResponseError as error:
        raise _refusal(url, error) from error
    except RedisError as error:
        raise BusUnavailable(f"the bus at {url} failed: {error}") from error


def _refusal(url: str, error: ResponseError) -> BusError:
    text = str(error)
    if isinstance(error, NoPermissionError):
        return NotAllowed(
            f"the bus at {url} does not allow this to our user: {text}; `interlock acl` writes users that may"
        )
    word, _, rest = text.partition(" ")
    match word:
        case "FENCED":
            return Fenced(f"a newer owner (epoch {rest}) has written; lease again before writing", seen=int(rest))
        case "DIVERGED":
            return Diverged(f"the partition {rest} is not what this writer last wrote; read it and replace")
        case "WRONGTYPE":
            return Corrupted(f"a key on the bus at {url} is not of our making: {text}")
        case "OOM":
            return BusFull(f"the bus at {url} has no memory left: {text}; raise maxmemory or shorten the retention")
        case _:
            return BusError(f"the bus at {url} refused: {text}")
