"""From the texts of files to a report, and with a state of the bus to a dry run. Pure: no file, no bus."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from interlock.labels.label import Proxy
from interlock.model.swarm import Service
from interlock_lint.compose import read_stack
from interlock_lint.document import Unread, parse
from interlock_lint.dry_run import State, attachment_problem, dry_run
from interlock_lint.finding import of_problem
from interlock_lint.judging import judge, labelled, place_of, problems_of
from interlock_lint.report import Against, Report
from interlock_lint.services import swarm_services
from interlock_lint.stack import Stack, merge


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What the files alone say. `services`: all of the stack, by key."""

    stack: Stack
    services: dict[str, Service]
    report: Report
    proxies: tuple[Proxy, ...] = ()


def check(
    texts: Sequence[tuple[str, bytes]],
    environment: Mapping[str, str],
    *,
    stack: str = "",
    unread: Iterable[Unread] = (),
    proxies: Sequence[Proxy] = (),
) -> Checked:
    """Read the files (name and bytes, in order) as one stack of this name, and judge it. Never raises.

    `unread`: files that could not even be opened. `proxies`: those that the stack is for; empty where nobody said.
    """
    failed = [*unread]
    read: list[Stack] = []
    for file, data in texts:
        document = parse(file, data)
        found = document if isinstance(document, Unread) else read_stack(document, environment, file)
        if isinstance(found, Unread):
            failed.append(found)
        else:
            read.append(found)
    merged = merge(read)
    services = swarm_services(merged, stack)
    ours = labelled(services)
    findings = judge(merged, services, problems_of(ours.values()), name=stack, whole=not failed, proxies=proxies)
    report = Report(
        files=tuple(dict.fromkeys((*(each.file for each in failed), *(file for file, _ in texts)))),
        services=len(ours),
        findings=findings,
        unread=tuple(failed),
    )
    return Checked(stack=merged, services=services, report=report, proxies=tuple(proxies))


def compare(checked: Checked, state: State, *, bus: str, region: str, stack: str) -> Report:
    """The report with what deploying would do. Findings are then those of the dry run, with all services there."""
    run = dry_run(checked.services, state)
    keys = {service.name: key for key, service in run.services.items()}
    whole = not checked.report.unread
    findings = set(judge(checked.stack, run.services, run.problems, name=stack, whole=whole, proxies=checked.proxies))
    for attachment in run.attachments:
        key = keys[attachment.service]
        problem = attachment_problem(attachment, run.services[key])
        findings.add(of_problem(problem, place_of(checked.stack.services[key], problem.key)))
    against = Against(
        bus=bus,
        region=region,
        changes=run.changes,
        sharers=run.sharers,
        attachments=run.attachments,
        neighbours=run.neighbours,
        doubts=run.doubts,
    )
    return msgspec.structs.replace(checked.report, findings=tuple(sorted(findings)), against=against)
