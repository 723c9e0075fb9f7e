"""What a node that is lost may cost: requests that were in flight to it, and others a connect timeout."""

from __future__ import annotations

import os

from interlock_demo.load import LoadReport

CONNECT_TIMEOUT_MS = 1000
"""The bound on p99 while nobody knows of the loss yet; the proxy's own connect timeout is a third of it."""

UNKNOWN = 1.0
"""Seconds after a loss in which a request may still be sent to the lost node, on a connection that was open to it."""


def judge_loss(report: LoadReport, at: float, what: str) -> None:
    """`at`: Unix seconds of the loss. Says what was lost, and that it was no more than could not be saved."""
    late = [f for f in report.failures if f.began > at + UNKNOWN]
    latest = max((f.began - at for f in report.failures), default=0.0)
    print(
        f"\n{what}: {report}, the last of them begun {latest:+.2f} s from the loss; p50 {report.p50_ms:.1f} ms, "
        f"p99 {report.p99_ms:.0f} ms, most {report.most_ms:.0f} ms; {report.proxy_retries} retried by the proxy"
    )
    for failure in report.failures:
        print(f"  {failure.began - at:+.3f} s {failure.method} {failure.kind}: {failure.what}")
    assert late == []
    assert len(report.failures) < 30
    # Other Swarms on the same processors make it longer, and not the loss.
    assert report.p99_ms <= CONNECT_TIMEOUT_MS * (2 if "PYTEST_XDIST_WORKER" in os.environ else 1)
