"""One stack file (Compose, version 3) → its services and networks, and what Docker would not take of it. Pure.

It reads what routing needs and nothing else: whether Docker takes an image or a volume is Docker's to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from interlock.labels.label import PREFIX
from interlock.labels.registry import LABELS
from interlock.model.problem import Severity
from interlock.model.swarm import ServicePort
from interlock_lint.document import Document, Items, Map, Node, Place, Scalar, Unread, is_null
from interlock_lint.finding import Finding, finding
from interlock_lint.interpolation import fill
from interlock_lint.number import as_docker_writes
from interlock_lint.schema import mistakes_of
from interlock_lint.stack import ComposeNetwork, ComposeService, Stack, Text

_SHORT_PORT = re.compile(r"(?:(?P<published>[0-9]{1,5}):)?(?P<target>[0-9]{1,5})(?:/(?P<protocol>tcp|udp|sctp))?")
_KNOWN = frozenset({"services", "networks", "volumes", "secrets", "configs", "version", "name"})


def read_stack(document: Document, environment: Mapping[str, str], file: str) -> Stack | Unread:
    """What the file says; `Unread` where it is no stack file. Never raises."""
    root = document.root
    if not any(key in _KNOWN or key.startswith("x-") for key in root.entries):
        reason = "is no stack file: it has none of the keys services, networks, volumes, secrets and configs"
        return Unread(file=file, line=root.place.line, reason=reason, remedy="Give a Compose file of version 3")
    services = root.get("services")
    if services is not None and not isinstance(services, Map):
        reason = "is no stack file: `services` is no mapping"
        remedy = "Write each service's name with a colon, and below it what it is"
        return Unread(file=file, line=services.place.line, reason=reason, remedy=remedy)
    reader = _Reader(environment)
    for repeated in document.repeated:
        reason = f"stands twice, in line {repeated.first} as well; Docker takes one of them, or refuses the file"
        reader.report(repeated.place, "key-repeated", repeated.key, reason=reason, remedy="Remove one of them")
    for each in mistakes_of(root):
        reader.service = each.service
        reader.report(each.place, each.code, each.key, reason=each.reason, remedy=each.remedy, value=each.value)
    reader.service = ""
    return Stack(
        services=dict(reader.services(services)) if services is not None else {},
        networks=dict(reader.networks(root.get("networks"))),
        findings=tuple(reader.findings),
    )


class _Reader:
    """Walks through one file; what is wrong goes to `findings`, and the rest is read as if it were not there."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.findings: list[Finding] = []
        self.service = ""

    def report(self, place: Place, code: str, key: str, *, reason: str, remedy: str, value: str = "") -> None:
        severity: Severity = "warning" if code == "variable-unset" else "error"
        made = finding(place, code, service=self.service, key=key, value=value, reason=reason, remedy=remedy)
        self.findings.append(msgspec.structs.replace(made, severity=severity))

    def _wrong_kind(self, node: Node, key: str, wanted: str, remedy: str) -> None:
        found = {Map: "a mapping", Items: "a list"}.get(type(node), "a single value")
        self.report(node.place, "stack-invalid", key, reason=f"is {found}, not {wanted}", remedy=remedy)

    # --- services ---

    def services(self, services: Map) -> Iterator[tuple[str, ComposeService]]:
        for name, (place, node) in services.entries.items():
            self.service = name
            if isinstance(node, Map):
                yield name, self._service(name, place, node)
            else:
                self._wrong_kind(node, f"services.{name}", "a mapping", "Write below it what the service is")
        self.service = ""

    def _service(self, name: str, place: Place, node: Map) -> ComposeService:
        deploy = self._map(node, "deploy")
        labels, unknown = self._labels(deploy.get("labels") if deploy else None, "deploy.labels")
        mode = self._text(deploy, "mode")
        return ComposeService(
            name=name,
            place=place,
            labels=labels,
            labels_place=deploy.entries["labels"][0] if deploy and "labels" in deploy.entries else None,
            misplaced=self._misplaced(node.get("labels")),
            unknown=unknown,
            networks=self._networks_of(node.get("networks")),
            ports=tuple(sorted(set(self._ports(node.get("ports"))))),
            endpoint_mode=self._choice(deploy, "endpoint_mode", ("vip", "dnsrr")),
            mode=mode,
            replicas=self._count(deploy, "replicas"),
        )

    def _labels(self, node: Node | None, key: str) -> tuple[dict[str, Text], frozenset[str]]:
        """The labels, and the names of ours among them whose value cannot be told."""
        labels: dict[str, Text] = {}
        unknown: set[str] = set()
        for name, place, value in self._pairs(node, key):
            text = self._value(name, place, value) if name.startswith(PREFIX) else value.text
            if text is None:
                unknown.add(name)
            else:
                labels[name] = Text(text, place, value.plain and "$" not in value.text)
        return labels, frozenset(unknown)

    def _misplaced(self, node: Node | None) -> dict[str, Text]:
        # What else is wrong with labels of containers is not ours to say.
        before = len(self.findings)
        found = {
            name: Text(value.text, place)
            for name, place, value in self._pairs(node, "labels")
            if name.startswith(PREFIX)
        }
        del self.findings[before:]
        return found

    def _pairs(self, node: Node | None, key: str) -> Iterator[tuple[str, Place, Scalar]]:
        """Labels of either form: a mapping, or a list of `name=value`."""
        if isinstance(node, Map):
            for name, (place, value) in node.entries.items():
                if isinstance(value, Scalar):
                    yield name, place, value
                else:
                    self._wrong_kind(value, name, "a text", 'Write the value in quotes: "…"')
        elif isinstance(node, Items):
            yield from self._list_of_pairs(node, key)
        elif node is not None:
            self._wrong_kind(node, key, "a mapping or a list", f"Write each label below {key} in a line of its own")

    def _list_of_pairs(self, node: Items, key: str) -> Iterator[tuple[str, Place, Scalar]]:
        seen: dict[str, int] = {}
        for item in node.items:
            if not isinstance(item, Scalar):
                self._wrong_kind(item, key, "a text", "Write - name=value, or take all the hyphens away")
                continue
            name, _, text = item.text.partition("=")
            if name in seen and name.startswith(PREFIX):
                reason = f"stands twice, in line {seen[name]} as well; one of them counts"
                self.report(item.place, "key-repeated", name, reason=reason, remedy="Remove one of them", value=text)
            seen[name] = item.place.line
            yield name, item.place, Scalar(text, "str", item.place, plain=False)

    def _value(self, name: str, place: Place, value: Scalar) -> str | None:
        """A label's text as Docker puts it; None where it cannot be told."""
        match value.kind:
            case "null":
                return ""
            case kind if kind == "bool" or (kind == "float" and value.text.lower().endswith(_NO_NUMBERS)):
                return self._no_text(name, place, value.text)
            case _ if value.plain and (number := as_docker_writes(value.text)) != value.text:
                return number
            case _:
                return self._filled(value.text, place, name)

    def _no_text(self, name: str, place: Place, text: str) -> str | None:
        """Told once: what goes on is what the remedy makes of it."""
        word = text.lower()
        meant, refusal = text, "and so Docker refuses the file"
        if word in _SWITCHES:
            # YAML 1.1 has them as booleans, YAML 1.2 as text: Docker's clients differ.
            refusal = f"and so Docker refuses the file, or makes the text {text} of it, depending on its version"
            if isinstance(LABELS[name].default if name in LABELS else None, bool):
                meant = _SWITCHES[word]
        reason = f"is neither text nor a number, {refusal}"
        label = LABELS.get(name)
        flaw = next(iter(label.parse(meant).flaws), None) if label else None
        remedy = f'Write "{meant}", in quotes' if flaw is None else in_quotes(flaw.code, flaw.remedy)
        self.report(place, "label-type", name, value=text, reason=reason, remedy=remedy)
        return None if flaw else meant.lower()

    def _filled(self, text: str, place: Place, key: str) -> str | None:
        filled = fill(text, self.environment)
        for name in filled.unset:
            reason = f"the variable {name} is not set here, so that nothing stands in its place"
            remedy = f"Set {name} where lint and docker stack deploy run, or write ${{{name}:-a default}}"
            self.report(place, "variable-unset", key, value=text, reason=reason, remedy=remedy)
        if filled.broken:
            reason = "has a dollar sign that begins no variable, and so Docker refuses the file"
            self.report(place, "variable-invalid", key, value=text, reason=reason, remedy="Write $$ for a dollar sign")
            return None
        if filled.required is not None:
            name, message = filled.required
            reason = f"the variable {name} must be set{f' ({message})' if message else ''}, and is not set here"
            remedy = f"Set {name} where lint and docker stack deploy run"
            self.report(place, "variable-required", key, value=text, reason=reason, remedy=remedy)
            return None
        return filled.text

    def _networks_of(self, node: Node | None) -> dict[str, Place]:
        if isinstance(node, Map):
            return {name: place for name, (place, _) in node.entries.items()}
        if isinstance(node, Items):
            names = ((self._scalar(item, "networks"), item.place) for item in node.items)
            return {name: place for name, place in names if name}
        if node is not None:
            self._wrong_kind(node, "networks", "a list or a mapping", "Write each network in a line of its own")
        return {}

    def _ports(self, node: Node | None) -> Iterator[ServicePort]:
        # Only the long form can say `mode: host`; what the short one publishes, it publishes through the ingress.
        for item in node.items if isinstance(node, Items) else ():
            if isinstance(item, Map):
                target = self._count(item, "target")
                if target is not None:
                    yield ServicePort(
                        target=target,
                        published=self._count(item, "published") or 0,
                        protocol=self._text(item, "protocol") or "tcp",
                        mode=self._text(item, "mode") or "ingress",
                    )
            elif found := _SHORT_PORT.fullmatch(self._scalar(item, "ports") or ""):
                published = int(found["published"] or 0)
                yield ServicePort(target=int(found["target"]), published=published, protocol=found["protocol"] or "tcp")

    # --- networks ---

    def networks(self, node: Node | None) -> Iterator[tuple[str, ComposeNetwork]]:
        if isinstance(node, Map):
            for key, (_, value) in node.entries.items():
                if isinstance(value, Map):
                    yield key, self._network(value, key)
                elif is_null(value):
                    yield key, ComposeNetwork()
                else:
                    self._wrong_kind(value, f"networks.{key}", "a mapping", "Write below it what the network is")
        elif node is not None:
            self._wrong_kind(node, "networks", "a mapping", "Write each network's name with a colon")

    def _network(self, node: Map, key: str) -> ComposeNetwork:
        outside = node.get("external")
        external = isinstance(outside, Map) or (isinstance(outside, Scalar) and self._scalar(outside, key) in _TRUE)
        older = self._text(outside, "name") if isinstance(outside, Map) else None
        return ComposeNetwork(
            name=self._text(node, "name") or older or "", external=external, driver=self._text(node, "driver") or ""
        )

    # --- values ---

    def _map(self, node: Map, key: str) -> Map | None:
        value = node.get(key)
        if value is None or isinstance(value, Map):
            return value
        self._wrong_kind(value, key, "a mapping", f"Write below {key} what it holds")
        return None

    def _text(self, node: Map | None, key: str) -> str | None:
        value = node.get(key) if node is not None else None
        return None if value is None else self._scalar(value, key)

    def _scalar(self, value: Node, key: str) -> str | None:
        if not isinstance(value, Scalar):
            self._wrong_kind(value, key, "a single value", "Write one")
            return None
        return self._filled(value.text, value.place, key)

    def _choice(self, node: Map | None, key: str, choices: tuple[str, ...]) -> str | None:
        text = self._text(node, key)
        if text is None or text in choices or node is None:
            return text
        reason, remedy = f"is not one of {', '.join(choices)}", f"Write {' or '.join(choices)}"
        self.report(node.entries[key][0], "stack-invalid", key, value=text, reason=reason, remedy=remedy)
        return None

    def _count(self, node: Map | None, key: str) -> int | None:
        text = self._text(node, key)
        if text is None or node is None:
            return None
        if text.isascii() and text.isdigit() and len(text) < 10:
            return int(text)
        place = node.entries[key][0]
        self.report(place, "stack-invalid", key, value=text, reason="is not a number", remedy="Write a number")
        return None


def in_quotes(code: str, remedy: str) -> str:
    """A remedy for where YAML reads it: true without quotes is no text there, and the next mistake."""
    return 'Write "true" or "false", in quotes' if code == "flag-invalid" else remedy


_NO_NUMBERS = (".inf", ".nan")
_SWITCHES = {"yes": "true", "on": "true", "no": "false", "off": "false"}
_TRUE = frozenset({"true", "True", "TRUE", "yes", "on"})
