"""Whatever stands in a stack file, lint has findings or says why it could not read it, and writes all of it safely."""

from __future__ import annotations

import re

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from interlock_lint.checking import check, compare
from interlock_lint.dry_run import ClusterState
from interlock_lint.formats import FORMATS
from support.swarm_values import service

STACK = """\
version: "3.8"
x-lb: &lb
  com.docker.lb.port: 8080
  com.docker.lb.network: web
services:
  shop: &shop
    image: shop:${TAG:-1}
    networks: [web, back]
    ports: [{target: 8080, published: 80, mode: host}]
    deploy:
      mode: replicated
      replicas: 3
      endpoint_mode: vip
      labels:
        <<: *lb
        com.docker.lb.hosts: shop.example.com,${HOST:-www.example.com}
        com.docker.lb.backend_mode: vip
        com.docker.lb.default_backend: "true"
  blog:
    <<: *shop
    labels: {com.docker.lb.ssl_only: "true"}
    deploy:
      labels:
        - com.docker.lb.hosts=shop.example.com
        - com.docker.lb.port=${PORT:?needed}
        - com.docker.lb.context_root=/blog
        - com.docker.lb.redirects=http://shop.example.com,https://www.example.com
networks:
  web: {external: true, name: front}
  back: {external: {name: back}, driver: bridge}
"""

PIECES = st.sampled_from(
    ["\n", ":", ": ", "- ", "&a ", "*a", "*lb", "<<: *shop", "{", "}", "[", "]", "'", '"', "\\", "#", "$", "${", "$$",
     "~", "\t", "\0", "\x1b[2J", "\u2028", "\ud7ff", "!!binary ", "!x ", "|\n", "? ", "---\n", "%", "0x", "1e999",
     ".nan", "é", ","]
)  # fmt: skip
WORDS = st.one_of(PIECES, st.text(max_size=5), st.sampled_from(re.findall(r"[\w.]+", STACK)))
EDITS = st.lists(st.tuples(st.integers(0, len(STACK)), st.integers(0, 40), WORDS), max_size=6)
TREES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["services", "networks", "deploy", "labels", "shop", "web", "external", "name", "driver", "mode",
                 "ports", "target", "published", "replicas", "endpoint_mode", "com.docker.lb.hosts",
                 "com.docker.lb.port", "x-y"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=25,
)  # fmt: skip
STATE = {"": ClusterState(services={"o": service("st_shop", service_id="o", hosts="shop.example.com")})}


def judged(*texts: str, lines: int) -> None:
    """Checked, compared and written in every format, with places that there are."""
    files = [(f"{n}.yml", text.encode("utf-8", "replace")) for n, text in enumerate(texts)]
    checked = check(files, {"TAG": "1"}, stack="st")
    compared = compare(checked, STATE, bus="redis://b", region="r", stack="st")
    for report in (checked.report, compared):
        assert all(each.reason and each.remedy for each in report.unread)
        for finding in report.findings:
            assert finding.reason
            assert finding.remedy
            assert 1 <= finding.line <= lines
        written = {name: write(report) for name, write in FORMATS.items()}
        assert all(c.isprintable() or c == "\n" for c in written["text"])
        assert all(line.startswith("::") for line in written["github"].split("\n")[:-1])
        assert "\r" not in written["github"]
        msgspec.json.decode(written["json"])
        results = msgspec.json.decode(written["sarif"])["runs"][0]["results"]
        assert len({result["partialFingerprints"]["interlockLint/v1"] for result in results}) == len(report.findings)


def _lines(text: str) -> int:
    """As YAML counts them."""
    return len(re.split(r"\r\n|[\n\r\x85\u2028\u2029]", text))


@settings(deadline=None)
@given(EDITS)
def test_a_realistic_stack_with_edits(edits: list[tuple[int, int, str]]) -> None:
    text = STACK
    for at, length, word in edits:
        text = text[:at] + word + text[at + length :]
    judged(text, STACK, lines=_lines(text) + STACK.count("\n"))


@settings(deadline=None)
@example({"services": "\x85", "shop": None})
@given(TREES)
def test_any_tree_with_our_words(tree: object) -> None:
    # JSON is YAML; what JSON cannot write is not asked for.
    text = msgspec.json.encode(tree).decode()
    judged(text, f'{{"services": {{"shop": {text}}}}}', lines=_lines(text))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    report = check([("a.yml", data)], {}).report
    assert len(report.unread) + len(report.files) >= 1
