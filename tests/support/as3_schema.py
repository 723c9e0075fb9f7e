"""What of an AS3 declaration our extension for F5 may write, as a JSON schema of our own.

It follows F5's "AS3 Schema Reference" (clouddocs.f5.com, and `src/schema/latest` of F5Networks/f5-appsvcs-extension,
read at version 3.47 to 3.56): ADC, Tenant, Application, Service_HTTP, Pool, Endpoint_Policy with its rules, conditions
(`httpHost`, `httpUri`) and actions (`forward`, `httpRedirect`, `persist`, `drop`), Constants, Controls. It is narrower:
a class or property that we do not use is refused, so that a slip of ours is found. Pointers are checked as the device
does: a pool or policy that is named must be declared.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft7Validator, FormatChecker

NAME = r"^[A-Za-z]([0-9A-Za-z_.-]{0,188}[0-9A-Za-z_.])?$"
_formats = FormatChecker(formats=())


@_formats.checks("address", raises=ValueError)
def _is_address(value: object) -> bool:
    return not isinstance(value, str) or bool(ipaddress.ip_address(value))


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": sorted(required),
        "additionalProperties": False,
    }


def _either(by: str, kinds: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Whose `by` says which of these it is."""
    return {
        "type": "object",
        "required": [by],
        "properties": {by: {"enum": sorted(kinds)}},
        "allOf": [{"if": {"properties": {by: {"const": kind}}}, "then": schema} for kind, schema in kinds.items()],
    }


_TEXT = {"type": "string", "maxLength": 64}
_CONSTANTS = {
    "type": "object",
    "properties": {"class": {"const": "Constants"}},
    "required": ["class"],
    "propertyNames": {"pattern": "^[A-Za-z][0-9A-Za-z_]{0,47}$"},
}
_REQUEST = {"const": "request"}
_SECONDS = {"type": "integer", "minimum": 0, "maximum": 65535}
_COMPARE = _object(
    {
        "operand": {"enum": ["equals", "starts-with", "ends-with", "contains"]},
        "values": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    },
    {"caseSensitive": {"type": "boolean"}},
)
_CONDITION = _either(
    "type",
    {
        "httpHost": _object({"type": True, "event": _REQUEST, "host": _COMPARE}),
        "httpUri": _object({"type": True, "event": _REQUEST, "path": _COMPARE}),
    },
)
_POINTER = _object({"use": {"type": "string", "minLength": 1}})
_COOKIE_HASH = _object(
    {"name": {"type": "string", "minLength": 1}, "offset": _SECONDS, "length": _SECONDS, "timeout": _SECONDS}
)
_SOURCE = _object({"netmask": {"type": "string", "format": "address"}, "timeout": _SECONDS})
_ACTION = _either(
    "type",
    {
        "forward": _object({"type": True, "event": _REQUEST, "select": _object({"pool": _POINTER})}),
        "drop": _object({"type": True, "event": _REQUEST}),
        "httpRedirect": _object(
            {"type": True, "event": _REQUEST, "location": {"type": "string", "minLength": 1}},
            {"code": {"type": "integer", "minimum": 300, "maximum": 399}},
        ),
        "persist": {
            "oneOf": [
                _object({"type": True, "event": _REQUEST, "cookieHash": _COOKIE_HASH}),
                _object({"type": True, "event": _REQUEST, "sourceAddress": _SOURCE}),
            ]
        },
    },
)
_RULE = _object(
    {"name": {"type": "string", "pattern": r"^[a-zA-Z0-9_\-.:%]+$"}},
    {"conditions": {"type": "array", "items": _CONDITION}, "actions": {"type": "array", "items": _ACTION}},
)
_PORT = {"type": "integer", "minimum": 0, "maximum": 65535}
_ADDRESSES = {"type": "array", "items": {"type": "string", "format": "address"}, "minItems": 1, "uniqueItems": True}
_CLASSES = {
    "Pool": _object(
        {"class": True},
        {
            "members": {
                "type": "array",
                "items": _object(
                    {"servicePort": {**_PORT, "minimum": 1}, "serverAddresses": _ADDRESSES},
                    {"shareNodes": {"type": "boolean"}},
                ),
            },
            "monitors": {"type": "array", "items": {"type": "string", "minLength": 1}},
            "remark": _TEXT,
        },
    ),
    "Service_HTTP": _object(
        {"class": True, "virtualAddresses": _ADDRESSES},
        {"virtualPort": _PORT, "policyEndpoint": {"type": "string", "minLength": 1}, "remark": _TEXT},
    ),
    "Endpoint_Policy": _object(
        {"class": True},
        {"rules": {"type": "array", "items": _RULE}, "strategy": {"enum": ["all-match", "best-match", "first-match"]}},
    ),
}
_APPLICATION = {
    "type": "object",
    "required": ["class"],
    "propertyNames": {"pattern": NAME},
    "properties": {
        "class": {"const": "Application"},
        "template": {"const": "generic"},
        "constants": _CONSTANTS,
        "remark": _TEXT,
    },
    "additionalProperties": _either("class", _CLASSES),
}
_TENANT = {
    "type": "object",
    "required": ["class"],
    "propertyNames": {"pattern": NAME},
    "properties": {
        "class": {"const": "Tenant"},
        "constants": _CONSTANTS,
        "optimisticLockKey": {"type": "string", "maxLength": 128},
        "remark": _TEXT,
    },
    "additionalProperties": _APPLICATION,
}
SCHEMA = {
    "type": "object",
    "required": ["class", "schemaVersion"],
    "propertyNames": {"pattern": NAME},
    "properties": {
        "class": {"const": "ADC"},
        "schemaVersion": {"type": "string", "pattern": r"^3\.[0-9]+\.[0-9]+$"},
        "id": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[^\s\"'<>\\]+$"},
        "updateMode": {"enum": ["selective"]},
        "controls": _object({"class": {"const": "Controls"}}, {"dryRun": {"type": "boolean"}}),
    },
    "additionalProperties": _TENANT,
}
_validator = Draft7Validator(SCHEMA, format_checker=_formats)


def tenants(declaration: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The tenants of a declaration, by name."""
    return {n: v for n, v in declaration.items() if isinstance(v, dict) and v.get("class") == "Tenant"}


def errors(declaration: object) -> list[str]:
    """What is wrong with a declaration, each as `/path/to/it: what`; empty where it may be deployed."""
    found = [
        f"/{'/'.join(map(str, error.absolute_path))}: {error.message}"
        for error in sorted(_validator.iter_errors(declaration), key=lambda error: list(map(str, error.absolute_path)))
    ]
    if found or not isinstance(declaration, dict):
        return found
    return [line for name, tenant in tenants(declaration).items() for line in _pointers(name, tenant)]


def _pointers(name: str, tenant: dict[str, Any]) -> Iterator[str]:
    apps = {app: content for app, content in tenant.items() if isinstance(content, dict)}
    pools = {f"/{name}/{a}/{n}" for a, c in apps.items() for n, o in c.items() if _class(o) == "Pool"}
    for app, content in apps.items():
        for item, value in content.items():
            where = f"/{name}/{app}/{item}"
            policy = value.get("policyEndpoint") if _class(value) == "Service_HTTP" else None
            if policy is not None and _class(content.get(policy)) != "Endpoint_Policy":
                yield f"{where}/policyEndpoint: {policy} is not declared"
            if _class(value) != "Endpoint_Policy":
                continue
            names = [rule["name"] for rule in value.get("rules", ())]
            if len(set(names)) < len(names):
                yield f"{where}/rules: names are not unique"
            for number, rule in enumerate(value.get("rules", ())):
                for action in rule.get("actions", ()):
                    pool = action.get("select", {}).get("pool", {}).get("use")
                    if pool is not None and pool not in pools:
                        yield f"{where}/rules/{number}: {pool} is not declared"


def _class(value: object) -> object:
    return value.get("class") if isinstance(value, dict) else None
