"""Workers of a pool, each a process: they share service clusters, hand them over, and stand back."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator

import pytest

from interlock.model.version import Token
from interlock_f5.declaration import compose, tenant_name
from support.planner_lab import always, eventually
from support.pool_lab import POOL, PoolLab


@pytest.fixture
def lab() -> Iterator[PoolLab]:
    lab = PoolLab("a", "b", "c", "d")
    try:
        for n, cluster in enumerate(lab.clusters, 10):
            lab.serve(cluster, f"127.0.0.{n}")
        yield lab
    finally:
        lab.close()
        for worker in ("one", "two"):
            print(f"=== {worker} ===\n{lab.log(worker) if (lab.folder / f'{worker}.log').exists() else ''}")
        shutil.rmtree(lab.folder, ignore_errors=True)


def test_who_comes_gets_its_share_who_goes_gives_it_back_at_once_and_status_shows_one_proxy(lab: PoolLab) -> None:
    lab.start("one")
    lab.until_shared("one")
    lab.until_served()
    runs = {lab.outcomes(cluster)[0].run for cluster in lab.clusters}
    lab.start("two")
    lab.until_shared("one", "two")
    always(lambda: len(lab.held("one")) == len(lab.held("two")) == 2, 1.0)
    moved = sorted(lab.held("two"))
    eventually(lambda: all(lab.outcomes(c)[0].run not in runs for c in moved), 5, "the new owners speak")
    for cluster in lab.clusters:
        [outcome] = lab.outcomes(cluster)
        assert (outcome.proxy, outcome.extension, outcome.hosts) == ("f5", "f5", 1)
    # A cluster that only changed hands is not written but for its fence.
    assert all([w.changed for w in lab.writes(c)][-1] is False for c in moved)
    began = time.monotonic()
    assert lab.stop("one") == 0
    stopped = time.monotonic() - began
    assert lab.living() == {lab.owners["two"]}, "it did not say that it goes"
    took = lab.until_shared("two", within=1.0)
    print(f"stopped in {stopped:.2f} s, all taken {took:.2f} s later")
    lab.serve("a", "127.0.0.99")
    lab.until_served(3)


def test_a_change_that_nobody_saw_is_brought_into_effect_by_the_next_owner(lab: PoolLab) -> None:
    lab.start("one")
    lab.until_served()
    lab.stop("one")
    lab.serve("b", "127.0.0.77", "127.0.0.78")
    before = {cluster: len(lab.writes(cluster)) for cluster in lab.clusters}
    lab.start("two")
    lab.until_served()
    lab.until_shared("two")
    eventually(lambda: all(lab.outcomes(c) for c in lab.clusters), 5)
    changed = {c: [w.changed for w in lab.writes(c)[before[c]:]].count(True) for c in lab.clusters}  # fmt: skip
    assert changed == {"a": 0, "b": 1, "c": 0, "d": 0}


def test_one_cluster_that_cannot_be_served_harms_no_other(lab: PoolLab) -> None:
    config = lab.folder / "config.toml"
    text = config.read_text()
    config.write_text(text.replace('VirtualAddresses = ["192.0.2.2"]', 'VirtualAddresses = ["nowhere"]'))
    lab.start("one")
    eventually(lambda: lab.behind().keys() == {"b"}, 10, "the others are served")
    assert "VirtualAddresses = 'nowhere'" in lab.log("one")
    [outcome] = lab.outcomes("b")
    assert (outcome.result, "VirtualAddresses = 'nowhere'" in outcome.reason) == ("rejected", True)
    assert lab.processes["one"].poll() is None


def test_with_the_bus_away_nothing_is_written_and_nothing_is_lost(lab: PoolLab) -> None:
    lab.start("one")
    lab.until_served()
    before = len(lab.device.writes)
    served = {cluster: lab.served(cluster) for cluster in lab.clusters}
    lab.server.close()
    time.sleep(2.0)
    assert {cluster: lab.served(cluster) for cluster in lab.clusters} == served
    assert len(lab.device.writes) == before
    lab.server.run()
    eventually(lambda: set(lab.leases()) == set(lab.clusters), 10)
    lab.serve("c", "127.0.0.55")
    lab.until_served(10)


def test_a_device_that_is_slow_or_fails_for_a_while(lab: PoolLab) -> None:
    lab.device.busy = 5
    lab.device.slow = 0.3
    lab.start("one")
    lab.until_served(20)
    lab.device.lose = 2
    lab.serve("a", "127.0.0.33")
    lab.serve("b", "127.0.0.34")
    lab.until_served(20)
    lab.signal("one", signal.SIGTERM)
    assert lab.processes.pop("one").wait(10) == 0


def test_a_device_that_remembers_a_greater_fence_is_outbid_by_who_holds_the_lease(lab: PoolLab) -> None:
    """As after a bus that was made anew with its clock behind: nobody would ever write again."""
    name, seen = tenant_name(str(lab.clusters["a"])), 5_000_000_000_000
    lab.device.tenants[name] = compose({}, Token(epoch=seen, nonce="former"), "before")
    lab.start("one")
    lab.until_served()
    assert {write.epoch for write in lab.writes("a")} == {seen + 1}


# Two of them in the quick suite: each takes the time that it takes to see that nothing happens.
@pytest.mark.parametrize(
    "what", ["open", "tend", *(pytest.param(what, marks=pytest.mark.chaos) for what in ("start", "apply_delta"))]
)
def test_a_mistake_in_one_clusters_extension_ends_no_worker_and_harms_no_other(lab: PoolLab, what: str) -> None:
    flaw = lab.flaw("none", "b")
    more = ("--extension", "flawed", "--proxy-id", POOL)
    lab.start("one", *more)
    lab.start("two", *more)
    lab.until_shared("one", "two")
    lab.until_served()
    if what in {"open", "start"}:
        # It is met when another begins to act for the cluster.
        [(owner, _)] = [held for cluster, held in lab.leases().items() if cluster == "b"]
        lab.flaw(what, "b")
        lab.stop(owner)
        left = ["two" if owner == "one" else "one"]
        lab.until_shared(*left)
    else:
        lab.flaw(what, "b")
        left = ["one", "two"]
    for n, cluster in enumerate(lab.clusters, 50):
        lab.serve(cluster, f"127.0.0.{n}")
    eventually(lambda: lab.behind().keys() <= {"b"}, 20, "the others are served")
    acting, epoch = lab.leases()["b"]
    says = f"not acted for: TypeError: a slip in {what}; it is tried again"
    eventually(lambda: any(says in outcome.reason for outcome in lab.outcomes("b")), 20, "it is told")
    assert {outcome.result for outcome in lab.outcomes("b")} <= {"rejected", "starting"}
    always(lambda: lab.leases()["b"] == (acting, epoch), 6.0)
    assert all(lab.processes[worker].poll() is None for worker in left)
    eventually(lambda: lab.log(acting).count("the cluster is not acted for") >= 2, 20, "it is tried again")
    log = lab.log(acting)
    assert log.count("the cluster is not acted for") <= 5
    assert log.count("Traceback (most recent call last)") == 1
    for n, cluster in enumerate(lab.clusters, 60):
        lab.serve(cluster, f"127.0.0.{n}")
    eventually(lambda: lab.behind().keys() <= {"b"}, 20, "the others are served")
    flaw.unlink()
    lab.until_served()
    eventually(
        lambda: [o.result for o in lab.outcomes("b")] in (["updated"], ["unchanged"]), 20, str(lab.outcomes("b"))
    )


@pytest.mark.chaos
def test_whatever_the_device_answers_no_change_is_lost_and_no_worker_ends(lab: PoolLab) -> None:
    lab.start("one")
    lab.start("two")
    lab.until_shared("one", "two")
    lab.until_served()
    no_yes = (200, b'{"results":[{"code":0,"message":"declaration is invalid","tenant":"x"}]}')
    for n, odd in enumerate(
        ((200, b"{}"), no_yes, (500, b'{"code":500,"message":"x","errors":null}'), (200, b"[]")), 100
    ):
        lab.device.odd["POST"] += [odd] * 4
        for m, cluster in enumerate(lab.clusters):
            lab.serve(cluster, f"127.0.{m}.{n}")
        lab.until_served()
    # Nobody's of ours: it is replaced at the next look, and outbid by nobody.
    name = tenant_name(str(lab.clusters["a"]))
    lab.device.tenants[name]["constants"]["interlockEpoch"] = 10**400
    eventually(lambda: lab.tenant("a")["constants"]["interlockEpoch"] == lab.leases()["a"][1], 14, "it is replaced")
    assert all(lab.processes[worker].poll() is None for worker in ("one", "two"))
    assert "Traceback" not in lab.log("one") + lab.log("two")


def test_a_pool_needs_an_extension_for_it_and_clusters(lab: PoolLab) -> None:
    for more, said in (
        (("--extension", "nginx", "--cluster", "a"), "works beside its proxy"),
        (("--extension", "f5", "--config", "/dev/null"), "for which service clusters?"),
    ):
        lab._run("wrong", "interlock-extension", "--pool", "--state-dir", str(lab.folder / "wrong"), *more)
        assert lab.processes.pop("wrong").wait(15) == 2
        assert said in lab.log("wrong")
