"""Changes of every kind on nginx and HAProxy at once, under load, then a kill -9; over and over, with fresh seeds.

`SOAK_ROUNDS` (20) of `SOAK_CHANGES` (200) in `SOAK_SECONDS` (10) each; `SOAK_SEED` (fresh, printed) is that of the
first round, the next one has the next. Nothing may fail on either. HAProxy may be reloaded for one reason: new hosts
have used up its spares. Each run belongs into `docs/soak.md`.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import pytest

from support.comeback import KILLS, killed_and_back
from support.proxies import HAPROXY, NGINX, STEADY, Changes, both, changed_under_load
from support.same_answers import asked_of

ROUNDS = int(os.environ.get("SOAK_ROUNDS", "20"))
CHANGES = int(os.environ.get("SOAK_CHANGES", "200"))
SECONDS = float(os.environ.get("SOAK_SECONDS", "10"))
SEED = int(os.environ.get("SOAK_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)

pytestmark = [pytest.mark.soak, pytest.mark.timeout(int(ROUNDS * (SECONDS * 4 + 120)) + 120)]


def test_nothing_fails_and_haproxy_comes_back(tmp_path: Path) -> None:
    print(f"\nSOAK_SEED={SEED} SOAK_ROUNDS={ROUNDS} SOAK_CHANGES={CHANGES} SOAK_SECONDS={SECONDS:g}")
    totals: Counter[str] = Counter()
    kills: Counter[str] = Counter()
    with both(tmp_path) as pipeline:
        for number in range(ROUNDS):
            changes = Changes(pipeline, SEED + number, prefix=f"new-{number}", most_new=CHANGES)
            report = changed_under_load(pipeline, changes, number=CHANGES, seconds=SECONDS)
            print(f"round {number}, seed {changes.seed}: {report}")
            report.judge()
            assert all("no spare backend" in reason for reason in report.reloads), report.reloads
            assert asked_of(pipeline, NGINX, changes) == asked_of(pipeline, HAPROXY, changes)
            kill = random.Random(changes.seed).choice(KILLS)
            killed_and_back(pipeline, changes, kill)
            kills[kill.__name__] += 1
            totals["requests"] += sum(load.requests for load in report.loads)
            totals["nginx"] += report.counted(NGINX, "reloads")
            totals["haproxy"] += report.counted(HAPROXY, "reloads")
            totals["updates"] += report.counted(HAPROXY, "updates")
            changes.clear()
            pipeline.wait_effective(*STEADY, timeout=60)
    print(
        f"| {SEED} | {ROUNDS} rounds of {CHANGES} changes in {SECONDS:g} s | {dict(kills)} | "
        f"{totals['requests']:,} requests, 0 failed | "
        f"{totals['nginx']} reloads of nginx, {totals['haproxy']} of HAProxy, {totals['updates']} updates in place |"
    )
