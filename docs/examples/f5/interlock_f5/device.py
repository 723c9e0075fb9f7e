"""The device's REST interface for AS3: `/mgmt/shared/appsvcs/`. A shell; says what was answered and judges nothing.

A connection for each request. Secrets are read anew each time, go into one header, and are in no message.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from interlock.errors import ConfigError, ProxyUnavailable
from interlock_f5.answer import Answer
from interlock_f5.options import F5Options

DECLARE = "/mgmt/shared/appsvcs/declare"
TASK = "/mgmt/shared/appsvcs/task"
_READ_TIMEOUT = 10.0
_LARGEST = 64 * 1024 * 1024
"""Bytes of an answer: far more than a tenant may have."""


class Device:
    """One device. Every method raises `ProxyUnavailable`. Not for several threads."""

    def __init__(self, options: F5Options) -> None:
        parts = urlsplit(options.url)
        self._options = options
        self.name = f"{parts.scheme}://{parts.netloc}"
        self._host = parts.hostname or ""
        self._port = parts.port
        self._tls: ssl.SSLContext | None = None
        if parts.scheme == "https":
            try:
                self._tls = ssl.create_default_context(cafile=options.ca_file or None)
            except (OSError, ssl.SSLError) as error:
                raise ConfigError(
                    f"f5 option CAFile = {options.ca_file!r}: {error}; name a file of certificates"
                ) from error

    def get(self, path: str) -> Answer:
        """Ask."""
        return self._ask("GET", path, None, _READ_TIMEOUT, lambda: None)

    def post(self, path: str, body: object, ready: Callable[[], None]) -> Answer:
        """Send. `ready` is called when all is ready to be sent, and may raise."""
        return self._ask("POST", path, json.dumps(body).encode(), self._options.submit_timeout, ready)

    def _ask(self, method: str, path: str, body: bytes | None, timeout: float, ready: Callable[[], None]) -> Answer:
        headers = {"Content-Type": "application/json", **self._who()}
        to = f"{self.name}: {method} {path.partition('?')[0]}"
        connection = (
            http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._tls)
            if self._tls
            else http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        )
        try:
            connection.connect()
            ready()
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            data = answer.read(_LARGEST + 1)
        except (OSError, http.client.HTTPException, ValueError) as error:
            # A ValueError is of a name that no host can have.
            raise ProxyUnavailable(f"{to}: {str(error) or type(error).__name__}") from error
        finally:
            connection.close()
        if len(data) > _LARGEST:
            raise ProxyUnavailable(f"{to}: it answers {answer.status} with more than {_LARGEST} bytes")
        return Answer(to=to, status=answer.status, data=data)

    def _who(self) -> dict[str, str]:
        options = self._options
        if options.token_file:
            token = self._secret(options.token_file)
            if not token.isascii():
                raise ProxyUnavailable(f"{self.name}: {options.token_file} holds what no header may")
            return {"X-F5-Auth-Token": token}
        pair = f"{options.user}:{self._secret(options.password_file)}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"}

    def _secret(self, path: str) -> str:
        try:
            secret = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ProxyUnavailable(f"{self.name}: {path} cannot be read: {type(error).__name__}") from None
        if not secret.isprintable():
            raise ProxyUnavailable(f"{self.name}: {path} holds more than one line")
        return secret
