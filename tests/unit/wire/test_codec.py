"""The codec: schema n and n-1, unknown fields ignored, everything else refused with a path."""

from __future__ import annotations

import msgpack
import pytest

from interlock.errors import FrameRefused, SchemaRefused
from interlock.model.routing import Endpoint, Upstream
from interlock.model.swarm import Network, PublishedPort, Service, Task
from interlock.wire import codec

UPSTREAM = Upstream(
    name="u",
    endpoints=(Endpoint(address="10.0.0.1", port=80, task="t", service_id="s", service="shop", draining_since=1.5),),
)
SERVICE = Service(
    id="s",
    name="shop",
    created="2026-01-01T00:00:00Z",
    labels={"com.docker.lb.port": "80"},
    networks=(Network(id="n", name="web", vip="10.0.0.9"),),
    tasks=(Task(id="t", state="running", desired="running", addresses={"n": "10.0.0.1"},
                ports=(PublishedPort(target=80, published=30000),)),),
)  # fmt: skip


def frame(schema: object = codec.SCHEMA, kind: object = "upstream", body: object = None) -> bytes:
    return msgpack.packb({"v": schema, "k": kind, "b": body if body is not None else {"name": "u"}})


@pytest.mark.parametrize(("kind", "value", "type_"), [("upstream", UPSTREAM, Upstream), ("service", SERVICE, Service)])
def test_a_value_survives_the_round_trip(kind: str, value: object, type_: type) -> None:
    assert codec.decode(kind, codec.encode(kind, value), type_) == value


def test_frames_are_plain_msgpack() -> None:
    raw = msgpack.unpackb(codec.encode("upstream", UPSTREAM))
    assert raw["v"] == codec.SCHEMA
    assert raw["k"] == "upstream"
    assert raw["b"]["endpoints"][0]["address"] == "10.0.0.1"


def test_equal_values_give_equal_bytes_whatever_the_order_of_their_keys() -> None:
    one = Service(id="s", name="n", created="", labels={"a": "1", "b": "2"})
    two = Service(id="s", name="n", created="", labels={"b": "2", "a": "1"})
    assert codec.encode("service", one) == codec.encode("service", two)


@pytest.mark.parametrize("schema", [codec.SCHEMA, codec.SCHEMA - 1])
def test_this_schema_and_the_one_before_are_read(schema: int) -> None:
    assert codec.decode("upstream", frame(schema), Upstream) == Upstream(name="u")


@pytest.mark.parametrize("schema", [codec.SCHEMA + 1, codec.SCHEMA - 2, 99])
def test_any_other_schema_is_refused_with_a_remedy(schema: int) -> None:
    with pytest.raises(SchemaRefused, match=f"schema {schema} .*bring writers and readers"):
        codec.decode("upstream", frame(schema), Upstream, where="plan u")


def test_unknown_fields_are_ignored() -> None:
    body = {"name": "u", "weight": 3}
    data = msgpack.packb({"v": codec.SCHEMA, "k": "upstream", "b": body, "signature": b"x"})
    assert codec.decode("upstream", data, Upstream) == Upstream(name="u")


def test_an_endpoint_of_a_planner_that_knew_no_networks_is_on_none() -> None:
    endpoint = {"address": "10.0.0.1", "port": 80, "task": "t", "service_id": "s", "service": "shop"}
    read = codec.decode("upstream", frame(body={"name": "u", "endpoints": [endpoint]}), Upstream)
    assert read.endpoints[0].network == ""


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a frame"),
        (b"\xc1", "not a frame"),
        (b"\x93\x01\x02\x03", "not a frame"),
        (msgpack.packb({"v": codec.SCHEMA}), "not a frame"),
        (frame(kind="host"), "kind 'host' where 'upstream'"),
        (frame(body={"name": 3}), r"\$\.name"),
        (frame(body={"name": "u", "endpoints": [{"address": "x"}]}), r"\$\.endpoints\[0\]"),
        (b"\x91" * 5000, "not a frame"),
        (frame(body=b"\x91" * 10), "plan u"),
    ],
)
def test_whatever_else_is_refused_and_named(data: bytes, says: str) -> None:
    with pytest.raises(FrameRefused, match=says) as refusal:
        codec.decode("upstream", data, Upstream, where="plan u")
    assert str(refusal.value).startswith("plan u")


def test_a_nesting_bomb_inside_the_body_is_refused() -> None:
    bomb = b"\x83\xa1v\x01\xa1k\xa8upstream\xa1b" + b"\x91" * 100_000
    with pytest.raises(FrameRefused):
        codec.decode("upstream", bomb, Upstream)


def test_an_oversized_frame_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(FrameRefused, match="over the limit"):
        codec.decode("upstream", b"\x00" * (codec.MOST_BYTES + 1), Upstream)
