"""The extension for nginx: `render` and `escape` are pure, `control` is the shell around one nginx."""

from __future__ import annotations

from pathlib import Path

from interlock.config.kinds import seconds
from interlock.errors import ConfigError, ConfigRejected
from interlock.runtime.logging import get_logger
from interlock.runtime.parts import NGINX_WHOLE, find_nginx
from interlock_extension.machine.generations import Bounds
from interlock_extension.machine.pidlink import announce_pid, withdraw_pid
from interlock_extension.machine.places import Places
from interlock_extension.machine.processes import memory_limit
from interlock_extension.machine.user import worker_user
from interlock_extension.nginx.config import read_config
from interlock_extension.nginx.control import NginxControl
from interlock_extension.nginx.family import PID_FILE
from interlock_extension.nginx.mounted import find
from interlock_extension.nginx.options import check_logs, fit, modules_for, try_raw_lines, try_template
from interlock_extension.nginx.render import Facts, NginxRenderer
from interlock_extension.port import Control, Renderer, Settings

LOST = "a request that a client sends on an idle kept-alive connection in the moment of a reload meets a reset"
"""What an nginx older than 1.27.4 costs: it has no `keepalive_min_timeout`."""

REMEDY = "install nginx 1.27.4 or newer from nginx.org, name one with --nginx, or: pip install 'interlock[embedded]'"


class NginxExtension:
    """Registered under `interlock.extensions`."""

    name = "nginx"

    def open(self, settings: Settings) -> tuple[Renderer, Control]:
        """A renderer and the nginx in `settings.folder`. Raises `ConfigError`, `PartMissing`."""
        part = find_nginx(settings.binary or None)
        places = Places(settings.places, "nginx")
        config = fit(read_config(settings.options, settings.places), settings.options, places)
        whole = part.version >= NGINX_WHOLE
        if not whole:
            get_logger(service="extension", proxy="nginx").warning(
                f"{part} is older than 1.27.4: {LOST}; {REMEDY}",
            )
        template = find(settings.template, said=settings.places.get("Template", "--template"))
        if template:
            # Nothing bounds how long it renders: a start that hangs there should say where.
            get_logger(service="extension", proxy="nginx").info("trying the template", template=template.path)
        facts = Facts(
            listen=settings.listen,
            proxy_id=settings.proxy_id,
            server_info=settings.server_info,
            keepalive_min_timeout=whole,
            stub_status="http_stub_status_module" in part.detail,
            user=_user(settings.folder, config.user, places),
            load_modules=modules_for(config, part, places),
        )
        try:
            NginxRenderer(config, facts).shared(0, 0, default=False)
        except ConfigRejected as error:
            raise ConfigError(f"nginx cannot be told so: {error}; correct the option") from error
        renderer = NginxRenderer(config, facts, template)
        # Without that directive, an old worker closes its idle connections as soon as it is told to leave.
        grace = seconds(config.keepalive_min_timeout) if whole else 0.0
        bounds = Bounds(memory=memory_limit() // 4)
        workers = int(config.worker_processes)
        check_logs(config, settings.folder, places)
        pid_file = settings.folder / PID_FILE
        control = NginxControl(
            part, settings.folder, renderer, workers=workers, grace=grace, bounds=bounds,
            at_end=lambda: withdraw_pid(config.pid_path, pid_file),
        )  # fmt: skip
        try_raw_lines(config, facts, control.aside, places)
        try_template(config, facts, control.aside, template)
        announce_pid(config.pid_path, pid_file, places, self.name)
        return renderer, control


def _user(folder: Path, wanted: str, places: Places) -> tuple[str, str] | None:
    try:
        return worker_user(folder, wanted)
    except ConfigError as error:
        raise ConfigError(f"{places['User']} = {wanted!r}: {error}") from error


extension = NginxExtension()
