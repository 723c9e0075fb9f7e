"""What a proxy may say that it does not do, and what the suite asks of it then."""

from __future__ import annotations

from typing import Literal

Feature = Literal["websockets", "sticky_cookie", "ip_hash", "next_endpoint", "idle_connections"]
"""A feature that a subclass may name in `lacks`. A host that asks for it is served all the same, without.

`next_endpoint`: a request whose endpoint refuses the connection is tried at another one. `idle_connections`: a reload
does not reset a kept-alive connection in the moment in which its client sends.
"""
