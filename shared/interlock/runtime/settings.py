"""Settings of a service: each click option has an environment variable and a key in config.toml.

Precedence: option, environment, file, default. A value that cannot be used ends the process at once with status 2,
naming where it came from. Only `cli.py` modules use this.

    @click.command(cls=ServiceCommand, epilog=…)
    @common_options
    @setting("--docker", key="DockerURL", default="unix:///var/run/docker.sock", help="…")
    def main(common: Common, docker: str) -> None: …
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
from click.core import ParameterSource

from interlock.config.document import Document, read_document
from interlock.config.duration import parse_duration
from interlock.errors import ConfigError, InterlockError
from interlock.model.names import CLUSTER_NAMES, is_cluster_name
from interlock.runtime import logging

CONFIG_ENV = "INTERLOCK_CONFIG"
_META = "interlock.document"
_SHADOWED = "interlock.document.shadowed"
F = TypeVar("F", bound=Callable[..., Any])


class Common(msgspec.Struct, frozen=True, kw_only=True):
    """What every service is told. `bus` is a URL, or empty for the embedded bus where a service offers that."""

    bus: str
    region: str
    log_level: str
    log_format: str
    metrics: str
    document: Document
    places: Mapping[str, str] = {}
    """Where each setting was said, by its key in config.toml: `config.toml:3: DockerURL`, or `--docker`."""

    def needed_bus(self) -> str:
        """The bus' URL. Raises `ConfigError` where none was given."""
        if not self.bus:
            raise ConfigError(
                "no bus: give --bus URL such as redis://bus:6379/0, or --bus-file PATH of a file that holds the URL "
                "(INTERLOCK_BUS, INTERLOCK_BUS_FILE; BusURL, BusFile in config.toml)"
            )
        return self.bus

    def __repr__(self) -> str:
        """Without the bus, whose URL may hold a password."""
        return f"Common(region={self.region!r})"


class Duration(click.ParamType[float]):
    """A Go duration such as `3s`, as seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        if isinstance(value, float):
            return value
        try:
            return parse_duration(str(value))
        except ConfigError as error:
            self.fail(str(error), param, ctx)


class ClusterName(click.ParamType[str]):
    """The name of a service cluster, as a label can have it; empty for the unnamed one."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The same name, without blanks around it."""
        found = str(value).strip()
        if not is_cluster_name(found):
            said = f"{value!r}: no label can name such a service cluster; write {CLUSTER_NAMES}, such as us-east"
            self.fail(said, param, ctx)
        return found


class Failure(click.ClickException):
    """One of our errors at start: its message on stderr, exit status 2."""

    exit_code = 2

    def __init__(self, error: InterlockError) -> None:
        super().__init__(str(error))


class ServiceCommand(click.Command):
    """A command that prints our errors as one message and exits with status 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        try:
            return super().invoke(ctx)
        except InterlockError as error:
            raise Failure(error) from error


class SettingOption(click.Option):
    """An option whose value may also come from the environment or from config.toml's `key`.

    `default_from`: a variable that is not ours, of which the default is made; it is named in errors.
    """

    def __init__(self, *args: Any, key: str | None = None, default_from: str = "", **more: Any) -> None:
        super().__init__(*args, **more)
        self.key, self.default_from = key, default_from

    def consume_value(self, ctx: click.Context, opts: Mapping[str, Any]) -> tuple[Any, ParameterSource]:
        """The value and its source, with the file between environment and default."""
        value, source = super().consume_value(ctx, opts)
        document: Document | None = ctx.meta.get(_META)
        entry = document.get(self.key) if document is not None and self.key else None
        if entry is not None and source is ParameterSource.DEFAULT:
            return entry.value, ParameterSource.DEFAULT_MAP
        return value, source

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        """The value, converted; an error names where it came from."""
        try:
            return super().process_value(ctx, value)
        except click.BadParameter as error:
            place = self._place(ctx)
            if place is None:
                raise
            raise Failure(ConfigError(f"{place} = {value!r}: {error.message}")) from error

    def said(self, ctx: click.Context) -> str:
        """Where the value came from, as errors name it; the option, where nobody said anything."""
        source = ctx.get_parameter_source(self.name or "")
        if source is ParameterSource.DEFAULT and os.environ.get(self.default_from):
            return f"environment: {self.default_from}"
        return self._place(ctx) or self.opts[0]

    def _place(self, ctx: click.Context) -> str | None:
        source = ctx.get_parameter_source(self.name or "")
        document: Document | None = ctx.meta.get(_META)
        if source is ParameterSource.DEFAULT_MAP and document is not None and self.key:
            entry = document.get(self.key)
            return document.place(entry) if entry else None
        if source is ParameterSource.ENVIRONMENT:
            names = [self.envvar] if isinstance(self.envvar, str) else list(self.envvar or ())
            return "environment: " + next((name for name in names if os.environ.get(name)), names[0])
        return None


def setting(
    flag: str, *more_flags: str, key: str | None = None, env: str | None = None, **options: Any
) -> Callable[[F], F]:
    """An option with its twins: `--poll-interval` ↔ INTERLOCK_POLL_INTERVAL ↔ `key` of config.toml."""
    name = env or "INTERLOCK_" + flag.strip("-").split("/")[0].replace("-", "_").upper()
    options.setdefault("show_default", True)
    return click.option(flag, *more_flags, cls=SettingOption, key=key, envvar=name, show_envvar=True, **options)


def common_options(command: F) -> F:
    """--config --bus --bus-file --region --log-level --log-format --metrics, which come as `common: Common`."""
    return _with_options(command, (*_COMMON, _ONE_REGION))


def common_options_any_region(command: F) -> F:
    """The same for commands that serve every region unless told otherwise: `common.region` is then empty."""
    return _with_options(command, (*_COMMON, _ANY_REGION))


def _with_options(command: F, options: tuple[Callable[[Any], Any], ...]) -> F:
    @functools.wraps(command)
    def with_common(*args: Any, **values: Any) -> Any:
        context = click.get_current_context()
        document = context.meta.get(_META) or Document()
        common = Common(
            document=document,
            places=_places(context),
            bus=_bus_url(context, values.pop("bus") or "", values.pop("bus_file") or ""),
            **{name: values.pop(name) or "" for name in ("region", "log_level", "log_format", "metrics")},
        )
        logging.configure(common.log_level, json=common.log_format == "json")
        shadowed = context.meta.get(_SHADOWED)
        for warning in (*((shadowed,) if shadowed else ()), *document.warnings):
            logging.get_logger().warning(warning)
        return command(*args, common=common, **values)

    decorated: Any = with_common
    for option in reversed(options):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]  # click's decorators return what they were given


def _places(ctx: click.Context) -> dict[str, str]:
    settings = [option for option in ctx.command.params if isinstance(option, SettingOption)]
    return {option.key: option.said(ctx) for option in settings if option.key}


_RANKS = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP)


def _bus_url(ctx: click.Context, url: str, path: str) -> str:
    """The bus' URL, out of the file where one is named. Where both are given, the nearer one counts.

    As with any option: what the command line says comes before the environment, that before config.toml. Both on the
    command line: the URL. Both in the environment, or both in config.toml, is a mistake that nobody can guess away.
    """
    if not path:
        return url
    sources = [ctx.get_parameter_source(name) for name in ("bus", "bus_file")]
    ranks = [_RANKS.index(source) if source in _RANKS else len(_RANKS) for source in sources]
    if url and ranks[0] == ranks[1] and sources[0] is not ParameterSource.COMMANDLINE:
        names = ("INTERLOCK_BUS and INTERLOCK_BUS_FILE", "BusURL and BusFile of config.toml")[ranks[0] - 1]
        raise ConfigError(f"{names} are both given, and may name different buses: keep one of them")
    if url and ranks[0] <= ranks[1]:
        return url
    try:
        text = Path(path).read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        # Neither the file's content nor a part of it is quoted: it holds a password.
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigError(f"--bus-file {path}: {why}; give a readable file that holds the bus' URL") from None
    if not text:
        raise ConfigError(f"--bus-file {path}: the file is empty; write the bus' URL into it (redis://host:6379/0)")
    return text


def _read_config(ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    # Interlock's INTERLOCK_CONFIG holds the TOML text itself, and wins over a file. Where it names one, --config wins.
    variable = os.environ.get(CONFIG_ENV, "")
    inline = variable if _is_toml(variable) else ""
    from_variable = value == variable
    if from_variable and value is not None:
        value = value.strip()
    if not (inline or value):
        return value
    try:
        if inline:
            ctx.meta[_META] = read_document(inline, where=CONFIG_ENV)
            if value and not from_variable:
                ctx.meta[_SHADOWED] = f"{CONFIG_ENV} holds a configuration: {value} is not read"
        elif value:
            ctx.meta[_META] = read_document(config_text(value, named_by_variable=from_variable), where=value)
    except ConfigError as error:
        raise Failure(error) from error
    return value


def _is_toml(value: str) -> bool:
    """Whether it is TOML text and not a path: no file is called so, and it has a mark of TOML.

    What is around it does not count: a variable that is set from a file or by YAML often ends with a line break.
    """
    text = value.removeprefix("\ufeff").strip()
    if os.path.exists(text):  # noqa: PTH110  # false, also for what is too long for a path
        return False
    return "\n" in text or "=" in text or text.startswith(("#", "["))


def config_text(path: str, *, named_by_variable: bool = False) -> str:
    """The text of a config.toml. Raises `ConfigError`."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        whose, more = (f"environment: {CONFIG_ENV}: ", ", or TOML text") if named_by_variable else ("", "")
        raise ConfigError(f"{whose}{path}: {why}; give the path of a readable TOML file{more}") from error


_COMMON: tuple[Callable[[Any], Any], ...] = (
    setting(
        "--config", "-c", env=CONFIG_ENV, metavar="FILE", is_eager=True, expose_value=False, callback=_read_config,
        show_default=False,
        help="Read settings from this config.toml; the variable may hold its text instead, which then counts.",
    ),
    setting("--bus", key="BusURL", metavar="URL", help="The bus: a redis://, rediss:// or unix:// URL."),
    setting(
        "--bus-file", key="BusFile", metavar="PATH",
        help="Read the bus' URL from this file, such as a Docker secret: a password then is in no argument list.",
    ),
    setting(
        "--log-level", key="LogLevel", default="info", type=click.Choice(logging.LEVELS), help="Least level to log."
    ),
    setting(
        "--log-format", key="LogFormat", default="console", type=click.Choice(["console", "json"]),
        help="key=value for people, or JSON lines.",
    ),
    setting("--metrics", key="MetricsAddr", metavar="ADDR", help="Serve Prometheus metrics here, such as :9100."),
)  # fmt: skip
_ONE_REGION = setting("--region", key="Region", default="default", help="Name of the Swarm that is served.")
_ANY_REGION = setting(
    "--region", key="Region", show_default=False, help="Only the service clusters of this region; all when omitted."
)
