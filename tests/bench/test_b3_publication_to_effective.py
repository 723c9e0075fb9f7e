"""B3: from the planner's publication to requests that meet it, by the number of hosts, beside the bare proxy's time.

How it is measured is in `support.publication`. The floor is measured in the same run, in turn with the product.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.publication import Backends, HaproxyByHand, NginxByHand, Round, host_of, publication, row, timed

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]
HOSTS = [int(number) for number in os.environ.get("B3_HOSTS", "100,1000,10000").split(",")]
ROUNDS = int(os.environ.get("B3_ROUNDS", "30"))
_MOST_RELOADS = 20_000
"""nginx's rounds times its hosts: a reload of 10,000 takes seconds."""


def table(title: str, rounds: list[Round], floor: list[float], floor_is: str) -> None:
    print(f"\n| {title} | median | min | max | n |\n|---|---|---|---|---|")
    print(row("**publication to effective, proven by requests**", [each.total for each in rounds]))
    for part in rounds[0].parts:
        print(row(part, [each.parts[part] for each in rounds]))
    print(row(f"floor, same run: {floor_is}", floor))


@pytest.fixture
def backends(tmp_path: Path) -> Iterator[Backends]:
    made = Backends(tmp_path / "backends")
    yield made
    made.process.stop()


@pytest.mark.parametrize("kind", ["haproxy", "nginx"])
def test_b3(tmp_path: Path, backends: Backends, kind: str) -> None:
    medians: dict[int, tuple[float, float]] = {}
    for count in HOSTS:
        rounds = ROUNDS if kind == "haproxy" else max(3, min(ROUNDS, _MOST_RELOADS // count))
        medians[count] = measured(tmp_path / f"{kind}-{count}", backends, kind, count, rounds)
    most, least = max(HOSTS), min(HOSTS)
    ratios = [many / few for many, few in zip(medians[most], medians[least], strict=True)]
    print(f"\nB3 {kind}: medians at {most} over those at {least}: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")
    assert kind == "nginx" or max(medians[most]) < 1000, "a host's change is no reload"


def measured(folder: Path, backends: Backends, kind: str, count: int, rounds: int) -> tuple[float, float]:
    """The medians of an endpoint's change and of a new host."""
    folder.mkdir()
    hosts = {host_of(n): backends.endpoint(n, backends.before) for n in range(count)}
    plan = {host: (endpoint,) for host, endpoint in hosts.items()}
    hand: HaproxyByHand | NginxByHand
    hand = HaproxyByHand(folder / "hand", hosts, rounds) if kind == "haproxy" else NginxByHand(folder / "hand", plan)
    changed: list[Round] = []
    created: list[Round] = []
    floors: tuple[list[float], list[float]] = ([], [])
    try:
        hand.begin(*list(hosts.items())[-1])
        with publication(folder / "ours", kind) as lab:
            lab.begin(plan)
            for n in range(rounds):
                number = n * (count // rounds) if rounds < count else n % count
                host, to = host_of(number), backends.endpoint(number, backends.after)
                changed.append(lab.measure(host, to, new=False))
                floors[0].append(timed(lambda host=host, to=to: hand.change(host, to), hand.port, host, to))  # type: ignore[misc]
                host, to = f"new{n}.example", backends.endpoint(20_000 + n, backends.before)
                created.append(lab.measure(host, to, new=True))
                floors[1].append(timed(lambda host=host, to=to: hand.add(host, to), hand.port, host, to))  # type: ignore[misc]
    finally:
        hand.close()
    floor_is = "the bare runtime commands" if kind == "haproxy" else "the bare reload (SIGHUP)"
    table(f"{kind}, {count:,} hosts: an endpoint's change", changed, floors[0], floor_is)
    table(f"{kind}, {count:,} hosts: a new host", created, floors[1], floor_is)
    return statistics.median(r.total for r in changed), statistics.median(r.total for r in created)
