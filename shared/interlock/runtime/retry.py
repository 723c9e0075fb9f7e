"""Retrying, and the only place that knows tenacity. Only around I/O that may be repeated: reads, idempotent writes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import tenacity

T = TypeVar("T")


def repeat(
    action: Callable[[], T],
    *,
    on: type[Exception] | tuple[type[Exception], ...],
    stop: threading.Event,
    within: float | None = None,
    first: float = 0.05,
    most: float = 1.0,
    each: Callable[[BaseException], None] | None = None,
) -> T:
    """The result of `action`, repeated while it raises one of `on`, with exponential waits and jitter.

    `first` and `most` are the waits, `within` the total, in seconds (None: until `stop`). `each` hears every failure.
    Raises the last error of `action` when stopped or out of time.
    """

    def heard(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if each is not None and error is not None:
            each(error)

    ends = tenacity.stop_when_event_set(stop)
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(on),
        wait=tenacity.wait_random_exponential(multiplier=first, max=most),
        stop=ends if within is None else tenacity.stop_any(ends, tenacity.stop_after_delay(within)),
        sleep=tenacity.sleep_using_event(stop),
        before_sleep=heard,
        reraise=True,
    )
    return retrying(action)
