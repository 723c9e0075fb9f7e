"""The SDK's unix transport, made to close a socket that could not connect, which the SDK leaves to the collector."""

from __future__ import annotations

import socket
from typing import Any

from docker.transport import unixconn


class _Connection(unixconn.UnixHTTPConnection):
    def connect(self) -> None:
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            opened.settimeout(self.timeout)
            opened.connect(self.unix_socket)
        except BaseException:
            opened.close()
            raise
        self.sock = opened


class _Pool(unixconn.UnixHTTPConnectionPool):
    def _new_conn(self) -> Any:
        timeout: Any = self.timeout
        return _Connection(self.base_url, self.socket_path, timeout)


class ClosingAdapter(unixconn.UnixHTTPAdapter):
    """Mounted on an `APIClient` in the place of its own."""

    def get_connection(self, url: str | bytes, proxies: Any = None) -> Any:  # noqa: ARG002  # requests' own signature
        """The pool of connections to the socket."""
        with self.pools.lock:
            pool = self.pools.get(url)
            if pool is None:
                pool = self.pools[url] = _Pool(str(url), self.socket_path, self.timeout, maxsize=self.max_pool_size)
        return pool
