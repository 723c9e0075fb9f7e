"""Who of a pool acts for what: all, equally, the same from everywhere, and nothing moves that need not."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from interlock.model.names import Cluster
from interlock_extension.pool.share import shares

WORKERS = st.sets(st.text("abcdef", min_size=1, max_size=4), min_size=1, max_size=8)
CLUSTERS = st.sets(st.text("uvwxyz", min_size=1, max_size=4), max_size=30).map(lambda s: {Cluster("eu", c) for c in s})


@st.composite
def pools(draw: st.DrawFn) -> tuple[set[str], set[Cluster], dict[Cluster, str]]:
    """Workers, clusters, and who holds some of these: also workers that are gone."""
    workers, clusters = draw(WORKERS), draw(CLUSTERS)
    owners = st.sampled_from(sorted({*workers, "gone"}))
    return workers, clusters, {cluster: draw(owners) for cluster in sorted(clusters) if draw(st.booleans())}


@given(pools())
def test_each_cluster_is_somebodys_and_nobody_has_more_than_one_above_another(
    pool: tuple[set[str], set[Cluster], dict[Cluster, str]],
) -> None:
    workers, clusters, holders = pool
    found = shares(workers, clusters, holders)
    assert found.keys() == clusters
    sizes = Counter(found.values())
    counts = [sizes[worker] for worker in workers]
    assert max(counts) - min(counts) <= 1


@given(pools())
def test_a_cluster_moves_only_where_its_holder_has_more_than_its_share(
    pool: tuple[set[str], set[Cluster], dict[Cluster, str]],
) -> None:
    workers, clusters, holders = pool
    found = shares(workers, clusters, holders)
    share = Counter(found.values())
    for worker in workers:
        mine = {c for c, holder in holders.items() if holder == worker}
        kept = sum(found[c] == worker for c in mine)
        assert kept == min(len(mine), share[worker])
    # Once they are shared, nothing moves any more.
    assert shares(workers, clusters, found) == found


@given(pools())
def test_the_order_in_which_they_are_named_does_not_matter(
    pool: tuple[set[str], set[Cluster], dict[Cluster, str]],
) -> None:
    workers, clusters, holders = pool
    turned = dict(reversed(holders.items()))
    assert shares(sorted(workers), sorted(clusters), holders) == shares(
        sorted(workers)[::-1], sorted(clusters)[::-1], turned
    )


def test_nobody_lives() -> None:
    assert shares((), {Cluster("eu", "a")}) == {}


def test_who_comes_takes_a_share_and_who_goes_leaves_the_others_what_they_have() -> None:
    clusters = [Cluster("eu", f"c{n}") for n in range(12)]
    three = shares(("a", "b", "c"), clusters)
    four = shares(("a", "b", "c", "d"), clusters, three)
    assert sum(three[c] != four[c] for c in clusters) == 3
    two = shares(("a", "c"), clusters, three)
    assert {c for c in clusters if two[c] != three[c]} == {c for c in clusters if three[c] == "b"}
