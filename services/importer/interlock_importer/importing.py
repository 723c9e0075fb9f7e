"""A stack file with old labels → the same file with labels of today, and a report. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from interlock.labels.label import PREFIX
from interlock.labels.reading import read
from interlock.labels.registry import LABELS
from interlock_importer import hrm, v1
from interlock_importer.old import Mapped, has_variable
from interlock_importer.report import Dialect, Note, Report, ServiceReport
from interlock_importer.splice import add
from interlock_importer.stack import Service, read_stack

TRANSLATE: dict[Dialect, Callable[[Service], Mapped]] = {"hrm": hrm.translate, "v1": v1.translate}


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """The new text of the stack file, and what there is to say of it."""

    text: str
    report: Report


def import_stack(text: str, dialect: Dialect) -> Imported:
    """Import from one dialect. Importing what came out changes nothing. Raises `ConfigError` for no stack file."""
    stack = read_stack(text)
    notes: list[Note] = []
    if stack.version.split(".")[0] in ("1", "2"):
        reason = "docker stack deploy reads version 3 only"
        remedy = 'Write version: "3.8", and replace what version 3 no longer has'
        notes.append(
            Note(kind="unmapped", service="", key="version", value=stack.version, reason=reason, remedy=remedy)
        )
    mapped = {service.name: TRANSLATE[dialect](service) for service in stack.services}
    wanted = {
        service.name: {k: v for k, v in mapped[service.name].labels.items() if k not in service.labels}
        for service in stack.services
    }
    done = add(text, stack.root, wanted)
    reports: list[ServiceReport] = []
    for service in stack.services:
        found = mapped[service.name]
        if not found.labels and not found.notes:
            continue
        notes += found.notes
        reason_against = done.refused.get(service.name)
        added = () if reason_against else tuple(wanted[service.name])
        if reason_against:
            notes.append(_by_hand(service.name, wanted[service.name], reason_against))
        notes += _kept(service, found.labels)
        notes += _judged(service, {**{k: found.labels[k] for k in wanted[service.name]}, **service.labels})
        reports.append(ServiceReport(service=service.name, labels=found.labels, added=added))
    return Imported(
        text=done.text,
        report=Report(
            dialect=dialect,
            complete=not any(note.open for note in notes),
            services=tuple(reports),
            notes=tuple(dict.fromkeys(notes)),
        ),
    )


def _by_hand(service: str, labels: dict[str, str], reason: str) -> Note:
    listed = "  ".join(f"{key}={value}" for key, value in labels.items())
    remedy = f"Add to its deploy.labels by hand: {listed}"
    return Note(kind="unmapped", service=service, key="deploy.labels", value="", reason=reason, remedy=remedy)


def _kept(service: Service, mapped: dict[str, str]) -> Iterable[Note]:
    """Labels that were there before and say something else."""
    for key, value in mapped.items():
        there = service.labels.get(key)
        if there is None or there == value:
            continue
        label = LABELS[key]
        if label.read({key: there}) == label.read({key: value}) and not has_variable(there + value):
            continue
        reason = f"the old labels amount to {value}"
        remedy = "Keep it if it was changed on purpose; else remove it and import again"
        yield Note(kind="kept", service=service.name, key=key, value=there, reason=reason, remedy=remedy)


def _judged(service: Service, labels: dict[str, str]) -> Iterable[Note]:
    """What is wrong with all labels of today that the service has now."""
    ours = {key: value for key, value in labels.items() if key.startswith(PREFIX)}
    if not ours:
        return
    unknown = {key for key, value in ours.items() if has_variable(value)}
    for key in sorted(unknown):
        reason = "holds a variable that Docker fills in when the stack is deployed"
        yield Note(kind="unjudged", service=service.name, key=key, value=ours[key], reason=reason)
    for problem in read(service.name, "", {key: value.replace("$$", "$") for key, value in ours.items()}).problems:
        if problem.key not in unknown:
            yield Note(
                kind="problem",
                service=service.name,
                key=problem.key,
                value=problem.value,
                reason=problem.reason,
                remedy=problem.remedy,
            )
