"""Headers on their way to the service and back."""

from __future__ import annotations

import re

import pytest

from support.pipeline import Answer, Pipeline


@pytest.fixture
def shop(pipeline: Pipeline) -> Pipeline:
    pipeline.service("shop")
    pipeline.wait_routed("shop.test")
    return pipeline


def _received(answer: Answer) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in answer.json()["headers"]:
        found.setdefault(name, []).append(value)
    return found


def test_the_service_sees_host_client_and_scheme(shop: Pipeline) -> None:
    """Contract 4.3: Host verbatim with its port, X-Real-IP, X-Forwarded-For, X-Forwarded-Proto, x-request-id."""
    seen = _received(shop.get("Shop.Test:8443"))
    assert seen["host"] == ["Shop.Test:8443"]
    assert seen["x-real-ip"] == seen["x-forwarded-for"] == ["127.0.0.1"]
    assert seen["x-forwarded-proto"] == ["http"]
    assert len(seen["x-request-id"]) == 1


def test_what_a_proxy_in_front_has_said_is_kept(shop: Pipeline) -> None:
    """Contract 4.3: X-Forwarded-For is appended to, an incoming x-request-id and X-Forwarded-Proto are honoured."""
    said = {"X-Forwarded-For": "192.0.2.7, 192.0.2.8", "x-request-id": "outer-42", "X-Forwarded-Proto": "https"}
    answer = shop.get("shop.test", headers=said)
    seen = _received(answer)
    assert seen["x-forwarded-for"] == ["192.0.2.7, 192.0.2.8, 127.0.0.1"]
    assert seen["x-request-id"] == [answer.headers["x-request-id"]] == ["outer-42"]
    assert seen["x-forwarded-proto"] == ["https"]


def test_a_client_cannot_say_that_it_is_somebody_else(shop: Pipeline) -> None:
    """X-Real-IP is ours to set, also where generations of nginx tell each other who the client is."""
    seen = _received(shop.get("shop.test", headers={"X-Real-IP": "192.0.2.9"}))
    assert seen["x-real-ip"] == ["127.0.0.1"]


def test_every_answer_has_an_id_of_its_own_and_tells_who_served(shop: Pipeline) -> None:
    """Contract 4.4."""
    answers = [shop.get("shop.test") for _ in range(3)]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 3
    headers = answers[0].headers
    assert headers["x-proxy-id"] == shop.extension
    assert re.fullmatch(r"interlock/\S+ \(\S+\) \w+/\w+", headers["x-server-info"])
    assert headers["x-upstream-addr"] == f"{answers[0].json()['address']}:8080"
    assert float(headers["x-upstream-response-time"]) < 5


def test_an_error_of_the_service_is_passed_on_without_our_headers(shop: Pipeline) -> None:
    """Contract 4.4: not added to 4xx and 5xx; the body and status are the service's own."""
    for status in (404, 418, 500):
        answer = shop.get("shop.test", f"/?status={status}")
        assert (answer.status, answer.headers["x-service"]) == (status, "shop")
        assert "x-upstream-addr" not in answer.headers
        assert "x-request-id" not in answer.headers


@pytest.mark.parametrize("pipeline", ["nginx"], indirect=True)
def test_status_of_the_proxy_itself(shop: Pipeline) -> None:
    """Contract 4.6: /nginx_status on every host and on the catch-all."""
    for host in ("shop.test", "nobody.test"):
        answer = shop.get(host, "/nginx_status")
        assert answer.task is None
        # Not every nginx has the module; one without it says so.
        assert (answer.status, b"Active connections" in answer.body) == (200, True) or (
            answer.status == 501 and b"stub_status" in answer.body
        )
