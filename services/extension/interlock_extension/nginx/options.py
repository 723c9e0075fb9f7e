"""Options of an operator that depend on this machine and this nginx: made to fit, or refused with their place. Shell.

Raw lines are tried aside before anything is started: a bad one ends this worker, and what already runs serves on.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from interlock.errors import ConfigError, ConfigRejected, ProxyUnavailable
from interlock.runtime.logging import get_logger
from interlock.runtime.parts import Part
from interlock_extension.machine import limits
from interlock_extension.machine.places import Places
from interlock_extension.nginx.aside import Aside
from interlock_extension.nginx.config import NginxConfig
from interlock_extension.nginx.custom import Template
from interlock_extension.nginx.needed import lacking, runs_no_workers
from interlock_extension.nginx.raw import GLOBAL, blame, complaint, raw_lines, without_raw_lines
from interlock_extension.nginx.refusal import Refusal
from interlock_extension.nginx.render import MAIN, Facts, NginxRenderer
from interlock_extension.nginx.samples import SAMPLES, WITHOUT_DEFAULT
from interlock_extension.port import HostView

_MODULES = re.compile(r"--modules-path=(\S+)")
_STREAM = "ngx_stream_module.so"


def fit(config: NginxConfig, given: Mapping[str, object], places: Places) -> NginxConfig:
    """With numbers in the place of `auto`, and of what this machine does not allow."""
    workers = config.worker_processes
    files = limits.open_files(config.rlimit_nofile)
    if files < config.rlimit_nofile and "rlimitnofile" in {name.lower() for name in given}:
        get_logger(service="extension", proxy="nginx").warning(
            f"{places['RLimitNoFile']} = {config.rlimit_nofile}: no more than {files} are allowed here; "
            "raise the container's ulimit nofile"
        )
    return msgspec.structs.replace(
        config, worker_processes=limits.processors() if workers == "auto" else workers, rlimit_nofile=files
    )


def modules_for(config: NginxConfig, part: Part, places: Places) -> tuple[str, ...]:
    """Paths of the modules that nginx must load. Raises `ConfigError` where one is wanted and not there."""
    if not config.tcp_options or re.search(r"--with-stream(?:\s|$)", part.detail):
        return ()
    found = _MODULES.search(part.detail)
    path = Path(found[1]) / _STREAM if found else Path(_STREAM)
    if "--with-stream=dynamic" in part.detail and path.exists():
        return (str(path),)
    if any(_STREAM in line for line in config.global_options):
        return ()
    raise ConfigError(
        f"{places['TCPOptions']}: {part} has no stream module; install it (Debian: libnginx-mod-stream), or use "
        "nginx.org's, or: pip install 'interlock[embedded]'"
    )


def try_raw_lines(config: NginxConfig, facts: Facts, aside: Aside, places: Places) -> None:
    """Have nginx read raw lines aside. Raises `ConfigError` that names the line which it refuses."""
    given = raw_lines(config)
    if not given:
        return
    for number, item in enumerate(given.get(GLOBAL, ()), start=1):
        if runs_no_workers(item):
            raise ConfigError(f"{places[GLOBAL]}, item {number} = {item!r}: nginx could not be reloaded; leave it out")
    try:
        refusal = aside.refused({})
        # What nginx refuses without them too is not their fault: the worker tells it, and adopts what runs.
        if refusal is None or aside.refused({}, NginxRenderer(without_raw_lines(config), facts)) is not None:
            return
    except ProxyUnavailable as error:
        get_logger(service="extension", proxy="nginx").warning(f"raw lines could not be tried: {error}")
        return
    culprit = blame(config, refusal)
    if culprit is None:
        raise ConfigError(f"{', '.join(places[key] for key in given)}: nginx refuses: {complaint(refusal)}")
    item = f", item {culprit.item}" if culprit.item else ""
    raise ConfigError(f"{places[culprit.key]}{item} = {culprit.text!r}: nginx refuses: {complaint(refusal, culprit)}")


def try_template(config: NginxConfig, facts: Facts, aside: Aside, template: Template | None) -> None:
    """Have nginx read aside what a user's template makes of a host of every kind. Raises `ConfigError`."""
    if template is None:
        return
    mine, plain = NginxRenderer(config, facts, template), NginxRenderer(config, facts)
    try:
        for default in (False, True):
            _check_needed(mine.shared(1, 1, default=default)[MAIN].decode(), config, facts, template)
        refusals = (_refused_for_template(mine, plain, aside, views) for views in (SAMPLES, WITHOUT_DEFAULT))
        refusal = next(filter(None, refusals), None)
    except ConfigRejected as error:
        raise ConfigError(f"{error}; correct the template (docs/templates.md)") from error
    except ProxyUnavailable as error:
        get_logger(service="extension", proxy="nginx").warning(f"the template could not be tried: {error}")
        return
    if refusal is not None:
        raise ConfigError(
            f"template {template.path}: nginx refuses what it makes: {refusal.said}; correct the template"
        )


def _check_needed(main: str, config: NginxConfig, facts: Facts, template: Template) -> None:
    lacks = lacking(main, int(config.worker_processes), facts.user)
    if lacks:
        raise ConfigError(
            f"template {template.path}: the main file that it makes lacks {' '.join(lacks)} Without that, a worker "
            f"cannot run nginx: begin with {{% extends base %}}, or write it too (docs/templates.md shows where)"
        )
    if runs_no_workers(main):
        raise ConfigError(
            f"template {template.path}: master_process off: nginx could not be reloaded then; leave it out"
        )


def _refused_for_template(
    mine: NginxRenderer, plain: NginxRenderer, aside: Aside, views: Sequence[HostView]
) -> Refusal | None:
    """What nginx says against these hosts with the template (`mine`), and not without it (`plain`)."""
    refusal = aside.refused({view.host.host: mine.host(view) for view in views}, mine)
    if refusal is None:
        return None
    plainly = {view.host.host: plain.host(view) for view in views}
    # What nginx refuses without it too is not its fault.
    return refusal if aside.refused(plainly, plain) is None else None


def check_logs(config: NginxConfig, folder: Path, places: Places) -> None:
    """Raises `ConfigError` for a log that cannot be written: nginx would not start, again and again."""
    for key, path in (("AccessLogPath", config.access_log_path), ("ErrorLogPath", config.error_log_path)):
        file = Path(path)
        # Beside files there are words, addresses, variables and devices, of which nginx knows more than we do.
        if not file.is_absolute() or file.is_relative_to("/dev") or "$" in path:
            continue
        # Folders of our own are made later.
        if folder.is_relative_to(file.parent) or file.is_relative_to(folder):
            continue
        if os.access(file, os.W_OK) or (not file.exists() and os.access(file.parent, os.W_OK)):
            continue
        why = "it may not be written" if file.exists() else f"there is no folder {file.parent} that may be written"
        raise ConfigError(f"{places[key]} = {path!r}: {why}; write a path such as /dev/stdout")
