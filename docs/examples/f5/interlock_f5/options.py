"""What an operator says of a device, by the names of config.toml. Pure: secrets are named here, `device` reads them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from interlock.errors import ConfigError

_TENANT = re.compile(r"[A-Za-z][0-9A-Za-z_.-]{0,189}")
_MONITOR = re.compile(r"/?[A-Za-z][0-9A-Za-z_./-]{0,189}")


class F5Options(msgspec.Struct, frozen=True, kw_only=True):
    """Of one service cluster. Times in seconds.

    `url`: the device, such as `https://192.0.2.10`. `user` with `password_file`, or `token_file`: who we are there;
    the files are read at each request. `virtual_addresses` and `virtual_port`: where the device serves.
    `submit_timeout`: how long it may take to accept a declaration, which has to fit into what is left of a lease;
    `task_timeout`: and how long to work on it. `look_every`: how often it is asked whether it still has what it was
    given.
    """

    url: str
    virtual_addresses: tuple[str, ...]
    virtual_port: int = 80
    user: str = ""
    password_file: str = ""
    token_file: str = ""
    ca_file: str = ""
    tenant: str = ""
    monitors: tuple[str, ...] = ("tcp",)
    submit_timeout: float = 0.8
    task_timeout: float = 120.0
    look_every: float = 10.0


_NAMES = {
    "url": "url",
    "virtualaddresses": "virtual_addresses",
    "user": "user",
    "passwordfile": "password_file",
    "tokenfile": "token_file",
    "cafile": "ca_file",
    "tenant": "tenant",
    "monitors": "monitors",
    "submittimeout": "submit_timeout",
    "tasktimeout": "task_timeout",
    "lookevery": "look_every",
}
LONGEST_SUBMIT = 0.9
"""Seconds. A lease lasts 1.5 s and is renewed every 0.5 s, so that a second of it is left at least."""


def read_options(given: Mapping[str, object], places: Mapping[str, str], listen: tuple[str, ...]) -> F5Options:
    """Options from `[Extensions.<name>.Config]` and the command line. Raises `ConfigError` that names the place.

    `listen`: the port that the table's `TargetPort` names, or addresses with it.
    """
    where = {name.lower(): place for name, place in places.items()}
    values: dict[str, object] = {}
    for name, value in given.items():
        key = _NAMES.get(name.lower())
        if key is None:
            raise ConfigError(
                f"{_place(where, name)}: the extension 'f5' has no such option; it has "
                "URL, VirtualAddresses, User, PasswordFile, TokenFile, CAFile, Tenant, Monitors, SubmitTimeout, "
                "TaskTimeout, LookEvery"
            )
        values[key] = value
    addresses, ports = zip(*(_listen(one) for one in listen), strict=True)
    values.setdefault("virtual_addresses", [address for address in addresses if address])
    if len(set(ports)) > 1:
        raise ConfigError(f"--listen {' '.join(listen)}: one port for all addresses of a service cluster")
    values["virtual_port"] = ports[0]
    try:
        # Numbers come as text from the command line.
        options = msgspec.convert(values, F5Options, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"options of the extension 'f5': {error}") from error
    _check(options, where)
    return options


def _check(options: F5Options, where: Mapping[str, str]) -> None:
    try:
        parts = urlsplit(options.url)
        wrong = parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0
    except ValueError:
        # What Python says of it quotes it, and there may be a password in it.
        wrong = True
    if wrong or "@" in parts.netloc or parts.path.strip("/"):
        raise ConfigError(f"{_place(where, 'URL')}: write https://ADDRESS[:PORT], without a user or a path")
    if not options.virtual_addresses:
        raise ConfigError(f'{_place(where, "VirtualAddresses")}: none; write VirtualAddresses = ["192.0.2.10"]')
    for address in options.virtual_addresses:
        try:
            ipaddress.ip_address(address)
        except ValueError as error:
            raise ConfigError(f"{_place(where, 'VirtualAddresses')} = {address!r}: {error}") from error
    if options.tenant and not _TENANT.fullmatch(options.tenant):
        raise ConfigError(f"{_place(where, 'Tenant')} = {options.tenant!r}: write letters, digits, '_', '.' and '-'")
    for monitor in options.monitors:
        if not _MONITOR.fullmatch(monitor):
            raise ConfigError(f"{_place(where, 'Monitors')} = {monitor!r}: write a name such as tcp or /Common/http")
    _check_rights_and_times(options, where)


def _check_rights_and_times(options: F5Options, where: Mapping[str, str]) -> None:
    if bool(options.user) != bool(options.password_file) or bool(options.user) == bool(options.token_file):
        raise ConfigError(f"{_place(where, 'User')}: give User and PasswordFile, or TokenFile alone")
    if not 0.05 <= options.submit_timeout <= LONGEST_SUBMIT:
        raise ConfigError(
            f"{_place(where, 'SubmitTimeout')} = {options.submit_timeout:g}: write seconds from 0.05 to "
            f"{LONGEST_SUBMIT}; it has to fit into what is left of a lease"
        )
    if not options.task_timeout > 0 or not options.look_every >= 0.2:
        raise ConfigError(
            f"{_place(where, 'LookEvery')}: write TaskTimeout over 0 and LookEvery of 0.2 or more, seconds"
        )


def _listen(text: str) -> tuple[str, int]:
    address, _, port = text.rpartition(":")
    return address.strip("[]"), int(port)


def _place(where: Mapping[str, str], name: str) -> str:
    return where.get(name.lower(), f"f5 option {name}")
