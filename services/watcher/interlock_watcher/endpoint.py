"""Docker's URL and the files of its TLS, tried before Docker is: what is wrong names where it was said. Shell."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

import msgspec

from interlock.config.kinds import Unfit, without_password
from interlock.config.sections import CORE
from interlock.errors import ConfigError

URLS = "unix:///path, tcp://host:port or https://host:port"
OPTIONS = {"DockerURL": "--docker", "TLSCACert": "--tls-ca", "TLSCert": "--tls-cert", "TLSKey": "--tls-key"}
"""By their keys in config.toml."""


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """Client TLS for a TCP endpoint: paths of PEM files; `verify` False skips the check of the engine's certificate."""

    ca: str = ""
    cert: str = ""
    key: str = ""
    verify: bool = True


class _Encrypted(Exception):
    pass


def check(url: str, tls: Tls | None, places: Mapping[str, str]) -> None:
    """Raises `ConfigError`. `places`: where each value was said, by its key; an option where it is not among them."""
    said = {**OPTIONS, **places}
    kind = next(key.kind for key in CORE.keys if key.name == "DockerURL")
    where = f"{said['DockerURL']} = {without_password(repr(url))}"
    if not url:
        raise ConfigError(f"{where}: it is empty; give {URLS}")
    try:
        kind.read(url)
    except Unfit as unfit:
        raise ConfigError(f"{where}: {unfit.why}; give {URLS}") from unfit
    if tls is not None:
        _check_files(tls, said)


def _check_files(tls: Tls, said: Mapping[str, str]) -> None:
    if bool(tls.cert) != bool(tls.key):
        given, missing = ("TLSCert", "TLSKey") if tls.cert else ("TLSKey", "TLSCert")
        remedy = f"give {missing} ({OPTIONS[missing]}) as well"
        raise ConfigError(f"{said[given]} = {tls.cert or tls.key!r}: a client certificate needs both; {remedy}")
    for key, path in (("TLSCACert", tls.ca), ("TLSCert", tls.cert), ("TLSKey", tls.key)):
        if path:
            _readable(f"{said[key]} = {path!r}", path)
    for key, path in (("TLSCACert", tls.ca), ("TLSCert", tls.cert)):
        if path:
            _certificate(f"{said[key]} = {path!r}", path)
    if tls.cert:
        _fitting(f"{said['TLSKey']} = {tls.key!r}", tls)


def _readable(what: str, path: str) -> None:
    try:
        with Path(path).open("rb"):
            pass
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{what}: {why}; give the path of a readable PEM file") from error


def _certificate(what: str, path: str) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError as error:
        raise ConfigError(
            f"{what}: it holds no certificate; give a PEM file that begins with BEGIN CERTIFICATE"
        ) from error


def _fitting(what: str, tls: Tls) -> None:
    def password() -> str:
        raise _Encrypted

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(tls.cert, tls.key, password)
    except _Encrypted:
        raise ConfigError(f"{what}: it is encrypted, and nobody could give its password; decrypt it") from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigError(f"{what}: it is not the key of {tls.cert}; give the one that is") from error
        raise ConfigError(f"{what}: it holds no private key; give a PEM file of one") from error
