"""Labels that not every proxy takes alike, where a stack uses them. Pure.

Told once for each label and proxy, at the first service that asks for it; the others are `concerned`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from interlock.labels.label import EVERY_PROXY, Proxy
from interlock.labels.registry import LABELS
from interlock.model.swarm import Service
from interlock_lint.finding import Finding, finding
from interlock_lint.stack import Stack

_WHICH = "interlock lint --proxy NAME tells of the proxies that you name alone"


def of_proxies(stack: Stack, services: Mapping[str, Service], proxies: Sequence[Proxy] = ()) -> Iterator[Finding]:
    """`proxies`: those that the stack is for; any may be meant where none is named, and nothing is then a warning."""
    for label in LABELS.values():
        uses = sorted(
            (compose.labels[label.name].place, services[key].name, compose.labels[label.name].text)
            for key, compose in stack.services.items()
            if label.name in compose.labels and label.field and label.depends(services[key].labels)
        )
        for proxy in dict.fromkeys(proxies or EVERY_PROXY) if uses else ():
            (place, service, value), others = uses[0], tuple(name for _, name, _ in uses[1:])
            also = f" (as for {', '.join(others)})" if others else ""
            if proxy not in label.proxies:
                found = finding(
                    place, "label-unsupported", service=service, key=label.name, value=value,
                    severity="warning" if proxies else "note",
                    reason=f"has no effect on {proxy}, which does not know it{also}",
                    remedy=f"Leave {label.name} out, or serve it by {' or '.join(label.proxies)}; {_WHICH}",
                )  # fmt: skip
            elif proxy in label.differs:
                found = finding(
                    place, "label-differs", service=service, key=label.name, value=value, severity="note",
                    reason=f"is not the same on every proxy: {proxy} {label.differs[proxy]}{also}",
                    remedy=f"Keep it where that is enough; {_WHICH}",
                )  # fmt: skip
            else:
                continue
            yield msgspec.structs.replace(found, concerned=others)
