"""The extension for HAProxy: `routes`, `render` and `delta` are pure, `control` is the shell around one HAProxy."""

from __future__ import annotations

from interlock.errors import ConfigError, ConfigRejected
from interlock.runtime.parts import find_haproxy
from interlock_extension.haproxy.config import read_config
from interlock_extension.haproxy.control import HaproxyControl
from interlock_extension.haproxy.family import PID_FILE
from interlock_extension.haproxy.options import check_open_files, try_raw_lines
from interlock_extension.haproxy.render import Facts, HaproxyRenderer
from interlock_extension.machine.generations import Bounds
from interlock_extension.machine.pidlink import announce_pid, withdraw_pid
from interlock_extension.machine.places import Places
from interlock_extension.machine.processes import memory_limit
from interlock_extension.machine.user import worker_user
from interlock_extension.port import Control, Renderer, Settings


class HaproxyExtension:
    """Registered under `interlock.extensions`."""

    name = "haproxy"

    def open(self, settings: Settings) -> tuple[Renderer, Control]:
        """A renderer and the HAProxy in `settings.folder`. Raises `ConfigError`, `PartMissing`."""
        part = find_haproxy(settings.binary or None)
        places = Places(settings.places, "HAProxy")
        if settings.template:
            said = settings.places.get("Template", "--template")
            raise ConfigError(
                f"{said} = {settings.template!r}: templates are for nginx; write GlobalOptions and DefaultOptions, "
                "or leave it out"
            )
        config = read_config(settings.options, settings.places)
        check_open_files(config, places)
        facts = Facts(
            listen=settings.listen,
            proxy_id=settings.proxy_id,
            server_info=settings.server_info,
            user=worker_user(settings.folder, ""),
        )
        renderer = HaproxyRenderer(config, facts)
        try:
            renderer.shared(0, 0, default=False)
        except ConfigRejected as error:
            raise ConfigError(f"HAProxy cannot be told so: {error}; correct the option") from error
        try_raw_lines(config, facts, part, settings.folder.resolve() / "check", places)
        bounds = Bounds(memory=memory_limit() // 4)
        pid_file = settings.folder / PID_FILE
        control = HaproxyControl(
            part, settings.folder, renderer, bounds=bounds, at_end=lambda: withdraw_pid(config.pid_path, pid_file)
        )
        announce_pid(config.pid_path, pid_file, places, self.name)
        return renderer, control


extension = HaproxyExtension()
