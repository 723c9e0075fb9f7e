"""The family of TLS: known, and without effect in this version."""

from __future__ import annotations

from interlock.labels.label import PREFIX, Label, Parsed, parse_bool, parse_text

_PLAIN = "the hosts are served over plain HTTP only"
_PLAIN_INSIDE = "endpoints are asked over plain HTTP"


def _text(name: str, syntax: str, doc: str, example: str, without: str) -> Label[str]:
    return Label(
        name=f"{PREFIX}{name}", syntax=syntax, doc=doc, example=example, default="", parse=parse_text, without=without
    )


def _flag(name: str, doc: str, without: str) -> Label[bool]:
    return Label(
        name=f"{PREFIX}{name}",
        syntax="`true` or `false`",
        doc=doc,
        example="true",
        default=False,
        parse=parse_bool,
        without=without,
    )


def _parse_verify(text: str) -> Parsed[str]:
    word = text.strip()
    return Parsed(value="none" if word.lower() == "none" else word)


LABELS: tuple[Label[str] | Label[bool], ...] = (
    _text("ssl_cert", "the name of a secret", "The certificate of the hosts, with its chain.", "shop.cert", _PLAIN),
    _text("ssl_key", "the name of a secret", "The key of that certificate.", "shop.key", _PLAIN),
    _flag("ssl_only", "Whether plain HTTP is redirected to HTTPS.", _PLAIN),
    _flag("ssl_passthrough", "Whether TLS is passed on to the tasks as it is.", _PLAIN),
    _flag("ssl_backend", "Whether the tasks are asked over TLS.", _PLAIN_INSIDE),
    Label(
        name=f"{PREFIX}ssl_backend_tls_verify",
        syntax="`none` or a mode of verification",
        doc="How the certificates of the tasks are verified.",
        example="required",
        default="none",
        parse=_parse_verify,
        without=_PLAIN_INSIDE,
    ),
)
