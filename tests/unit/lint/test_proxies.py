"""Labels that not every proxy takes alike: who is told, how often, and how loudly."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import msgspec
import pytest

from interlock.labels.label import EVERY_PROXY, Proxy
from interlock.labels.registry import LABELS
from interlock_lint import proxies as lint_proxies
from interlock_lint.checking import check
from interlock_lint.finding import Finding
from interlock_lint.report import Report
from support.stacks import GOOD, LB, stack_text

OTHER = {
    "networks": ["web"],
    "deploy": {"labels": {f"{LB}hosts": "b.example", f"{LB}port": "80", f"{LB}max_fails": "2"}},
}
TEXT = stack_text({**GOOD, "max_fails": "3"}, others={"other": OTHER})


def report(text: str, *proxies: Proxy) -> Report:
    return check([("a.yml", textwrap.dedent(text).encode())], {}, proxies=proxies).report


def found(text: str, *proxies: Proxy) -> Sequence[Finding]:
    return report(text, *proxies).findings


@pytest.mark.parametrize("proxies", [(), ("haproxy",), ("nginx", "haproxy"), ("haproxy", "haproxy")])
def test_a_difference_is_a_note_at_the_first_use_and_names_the_others(proxies: tuple[Proxy, ...]) -> None:
    (note,) = found(TEXT, *proxies)
    assert (note.code, note.severity, note.service, note.key) == ("label-differs", "note", "shop", f"{LB}max_fails")
    assert note.concerned == ("other",)
    assert "haproxy counts, in a row, only connections" in note.reason
    assert note.reason.endswith("(as for other)")
    assert TEXT.splitlines()[note.line - 1].strip() == f"{LB}max_fails: '3'"


def test_notes_are_never_counted_against_a_stack() -> None:
    for strict in (False, True):
        assert report(TEXT, "haproxy").exit_status(strict=strict) == 0


@pytest.mark.parametrize("value", ["0", "", "  ", "many"])
def test_what_means_the_same_everywhere_is_not_told(value: str) -> None:
    assert [f for f in found(stack_text({**GOOD, "max_fails": value})) if f.severity == "note"] == []


def test_a_proxy_that_does_not_differ_says_nothing() -> None:
    assert found(TEXT, "nginx") == ()


def test_a_label_that_a_proxy_does_not_know_is_a_warning_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    label = msgspec.structs.replace(LABELS[f"{LB}max_fails"], proxies=("nginx",), differs={})
    monkeypatch.setitem(lint_proxies.LABELS, label.name, label)
    (warning,) = found(TEXT, "nginx", "haproxy")
    assert (warning.code, warning.severity) == ("label-unsupported", "warning")
    assert "has no effect on haproxy" in warning.reason
    assert f"Leave {LB}max_fails out, or serve it by nginx" in warning.remedy
    assert report(TEXT, "haproxy").exit_status(strict=True) == 1
    # Nobody said that HAProxy serves it.
    assert [f.severity for f in found(TEXT)] == ["note"]
    assert report(TEXT).exit_status(strict=True) == 0


def test_every_difference_is_told_of_a_proxy_that_takes_the_label() -> None:
    for label in LABELS.values():
        assert set(label.differs) <= set(label.proxies) <= set(EVERY_PROXY), label.name
        # "haproxy counts …"
        assert all(how[0].islower() and not how.endswith(".") for how in label.differs.values()), label.name
