"""Names are stable, unique and safe to put anywhere."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.model.names import Cluster, upstream_name


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_cluster_survives_its_own_text(region: str, name: str) -> None:
    if any(0xD800 <= ord(ch) <= 0xDFFF for ch in region + name):
        return
    text = str(Cluster(region, name))
    assert Cluster.parse(text) == Cluster(region, name)
    assert re.fullmatch(r"[A-Za-z0-9_.%~-]*/[A-Za-z0-9_.%~-]+", text)


@pytest.mark.parametrize(("cluster", "text"), [(Cluster("eu", ""), "eu/~"), (Cluster("e u", "a/b~"), "e%20u/a%2Fb%7E")])
def test_the_encoding_of_keys(cluster: Cluster, text: str) -> None:
    assert str(cluster) == text


@given(st.text(max_size=300), st.text(max_size=300))
def test_an_upstream_name_is_harmless_in_any_configuration(host: str, path: str) -> None:
    host, path = (t.encode("utf-8", "replace").decode() for t in (host, path))
    assert re.fullmatch(r"[a-z0-9_]{1,100}", upstream_name(host, path))


def test_hosts_that_look_alike_have_upstreams_of_their_own() -> None:
    names = {upstream_name(*pair) for pair in [("a-b.c", "/"), ("a.b-c", "/"), ("a-b.c", "/x"), ("a-b.c/", "x")]}
    assert len(names) == 4
