"""The extension for F5 BIG-IP: `render` and `declaration` are pure, `device` and `control` the shell around one tenant.

A service cluster is a tenant of the device. The device is elsewhere, and its workers are a pool: each writes under the
fence that it is given, and the tenant says which was the last (see `control`).
"""

from __future__ import annotations

from interlock.errors import ConfigError
from interlock_extension.port import Control, Renderer, Settings
from interlock_f5.control import F5Control
from interlock_f5.declaration import tenant_name
from interlock_f5.device import Device
from interlock_f5.options import read_options
from interlock_f5.render import F5Renderer


class F5Extension:
    """Registered under `interlock.extensions`."""

    name = "f5"
    pooled = True

    def open(self, settings: Settings) -> tuple[Renderer, Control]:
        """A renderer and the tenant of `settings.cluster`. Raises `ConfigError`."""
        if settings.fence is None:
            raise ConfigError("the extension 'f5' writes under a fence only; run it as a pool, with --pool")
        if settings.template:
            raise ConfigError(f"template {settings.template!r}: the extension 'f5' has no templates; leave it out")
        options = read_options(settings.options, settings.places, settings.listen)
        tenant = options.tenant or tenant_name(settings.cluster)
        device = Device(options)
        return F5Renderer(options, tenant), F5Control(device, tenant, settings.fence, options)


extension = F5Extension()
