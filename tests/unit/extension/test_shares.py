"""Who of a pool acts for what: all, equally, the same from everywhere, and without needless moves."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from interlock.model.names import Cluster
from interlock_extension.pool.share import shares

WORKERS = st.sets(st.text("abcdef", min_size=1, max_size=4), min_size=1, max_size=8)
CLUSTERS = st.sets(st.text("uvwxyz", min_size=1, max_size=4), max_size=30).map(lambda s: {Cluster("eu", c) for c in s})


@given(WORKERS, CLUSTERS)
def test_each_cluster_is_somebodys_and_nobody_has_more_than_one_above_another(
    workers: set[str], clusters: set[Cluster]
) -> None:
    found = shares(workers, clusters)
    assert found.keys() == clusters
    sizes = Counter(dict.fromkeys(workers, 0)) + Counter()
    sizes.update(found.values())
    counts = [sizes[worker] for worker in workers]
    assert max(counts) - min(counts) <= 1


@given(WORKERS, CLUSTERS)
def test_the_order_in_which_they_are_named_does_not_matter(workers: set[str], clusters: set[Cluster]) -> None:
    assert shares(sorted(workers), sorted(clusters)) == shares(sorted(workers)[::-1], sorted(clusters)[::-1])


def test_nobody_lives() -> None:
    assert shares((), {Cluster("eu", "a")}) == {}


def test_a_worker_that_comes_moves_little_and_one_that_goes_too() -> None:
    """Over many pools, so that no lucky draw hides it: of twelve clusters a fourth worker needs three."""
    moved = []
    for trial in range(100):
        clusters = [Cluster("eu", f"c{trial}-{n}") for n in range(12)]
        three = [f"w{trial}-{n}" for n in range(3)]
        before, after = shares(three, clusters), shares([*three, f"w{trial}-3"], clusters)
        moved.append(sum(before[c] != after[c] for c in clusters))
        assert min(moved) >= 3
    assert sum(moved) / len(moved) < 6
