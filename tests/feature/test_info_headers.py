"""HideInfoHeaders, in an installation of its own."""

from __future__ import annotations

from pathlib import Path

from support.pipeline import Pipeline

FIVE = {"x-request-id", "x-proxy-id", "x-server-info", "x-upstream-addr", "x-upstream-response-time"}


def test_case_37_info_headers_are_hidden(tmp_path: Path) -> None:
    """Case 37: none of the five for the client; the service still sees the request's id."""
    with Pipeline(tmp_path, extension=("--option", "HideInfoHeaders=true")) as pipeline:
        pipeline.service(
            "shop", labels={"hosts": "shop.test,old.test", "redirects": "http://old.test,http://shop.test"}
        )
        answer = pipeline.wait_routed("shop.test")
        assert not FIVE & answer.headers.keys()
        assert "x-request-id" in dict(answer.json()["headers"])
        assert not FIVE & pipeline.get("old.test").headers.keys()
