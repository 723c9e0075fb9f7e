"""Prometheus metrics: one `Metrics` for each service in a process, names `interlock_<service>_<what>_<unit>`.

Metrics are kept by the loops, never by the pure core. Asking twice for one name gives the same metric.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from interlock.errors import ConfigError

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Buckets for durations of a change on its way."""

M = TypeVar("M", bound=Collector)


class Total(Collector):
    """A counter that somebody else counts, such as a proxy: it is set, and begins anew when they do."""

    def __init__(self, name: str, meaning: str, registry: CollectorRegistry) -> None:
        self._name, self._meaning = name, meaning
        self._value = 0.0
        registry.register(self)

    def set(self, value: float) -> None:
        """What they count now."""
        self._value = value

    def collect(self) -> Iterator[CounterMetricFamily]:
        """For the registry."""
        yield CounterMetricFamily(self._name, self._meaning, value=self._value)

    def describe(self) -> Iterator[CounterMetricFamily]:
        """For the registry, which refuses a name that is taken."""
        return self.collect()


class Metrics:
    """The metrics of one service; `what` ends in its unit (`reads_total`, `listing_seconds`)."""

    def __init__(self, service: str) -> None:
        self.registry = CollectorRegistry()
        self._service = service
        self._made: dict[str, Collector] = {}
        self._lock = threading.Lock()

    def counter(self, what: str, meaning: str, labels: Sequence[str] = ()) -> Counter:
        """A counter; `what` ends in `_total`."""
        return self._once(Counter, what, lambda name: Counter(name, meaning, labels, registry=self.registry))

    def gauge(self, what: str, meaning: str, labels: Sequence[str] = ()) -> Gauge:
        """A value that goes up and down."""
        return self._once(Gauge, what, lambda name: Gauge(name, meaning, labels, registry=self.registry))

    def total(self, what: str, meaning: str) -> Total:
        """A counter that somebody else counts; `what` ends in `_total`."""
        return self._once(Total, what, lambda name: Total(name, meaning, self.registry))

    def histogram(
        self, what: str, meaning: str, labels: Sequence[str] = (), buckets: Sequence[float] = SECONDS
    ) -> Histogram:
        """A distribution; `what` ends in `_seconds` or `_bytes`."""
        return self._once(
            Histogram, what, lambda name: Histogram(name, meaning, labels, registry=self.registry, buckets=buckets)
        )

    def _once(self, kind: type[M], what: str, make: Callable[[str], M]) -> M:
        with self._lock:
            made = self._made.get(what)
            if made is None:
                made = self._made[what] = make(f"interlock_{self._service}_{what}")
            if not isinstance(made, kind):
                raise TypeError(f"{what} is a {type(made).__name__} already")
            return made


class MetricsServer:
    """Serves one registry at `http://addr/metrics` until closed."""

    def __init__(self, metrics: Metrics, host: str, port: int) -> None:
        self._httpd, self._thread = start_http_server(port, host, registry=metrics.registry)
        self.port: int = self._httpd.server_port

    def close(self) -> None:
        """Stop serving; returns when the port is free."""
        self._httpd.shutdown()
        self._httpd.server_close()
        self._thread.join()


def serve(addr: str, metrics: Metrics) -> MetricsServer:
    """Serve at `host:port` or `:port` (port 0: any free one). Raises ConfigError when that cannot be had."""
    host, _, port = addr.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"metrics address {addr!r}: no port; write host:port or :port")
    try:
        return MetricsServer(metrics, host.strip("[]") or "0.0.0.0", int(port))
    except OSError as error:
        raise ConfigError(f"metrics address {addr!r}: {error}; choose another with --metrics") from error
