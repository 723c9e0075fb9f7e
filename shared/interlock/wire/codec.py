"""The codec: values to msgpack frames and back. The only place that encodes or decodes what the bus stores.

A frame is the map `{"v": schema, "k": kind, "b": body}`. Readers accept the present schema and the one before it and
ignore fields that they do not know; anything else is a `WireError`, for the caller to report and go on.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from interlock.errors import FrameRefused, SchemaRefused

SCHEMA = 1
"""The schema that this code writes. Raise it when a reader one version older would misread a frame."""

READABLE = (SCHEMA, SCHEMA - 1)
MOST_BYTES = 16 * 1024 * 1024
"""A larger frame is refused before it is decoded, so that a bad neighbour cannot exhaust memory."""

T = TypeVar("T")


class _Frame(msgspec.Struct, frozen=True):
    v: int
    k: str
    b: msgspec.Raw


_encoder = msgspec.msgpack.Encoder(order="deterministic")
_frames = msgspec.msgpack.Decoder(_Frame)
_decoders: dict[object, msgspec.msgpack.Decoder[object]] = {}


def encode(kind: str, value: object) -> bytes:
    """A frame of the present schema; equal values give equal bytes."""
    return _encoder.encode({"v": SCHEMA, "k": kind, "b": value})


def decode(kind: str, data: bytes, type_: type[T], *, where: str = "") -> T:
    """The body of a frame as `type_`.

    Raises `SchemaRefused` for a schema other than ours or the one before, and `FrameRefused` for anything that is not
    a frame of this kind; both name `where` (a key and field, say).
    """
    if len(data) > MOST_BYTES:
        raise FrameRefused(f"{where}: a frame of {len(data)} bytes is over the limit of {MOST_BYTES}")
    try:
        frame = _frames.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise FrameRefused(f"{where}: not a frame: {error}") from error
    if frame.v not in READABLE:
        raise SchemaRefused(
            f"{where}: schema {frame.v} is not readable here (this version reads {READABLE[1]} and {READABLE[0]}); "
            "bring writers and readers to within one schema of each other"
        )
    if frame.k != kind:
        raise FrameRefused(f"{where}: a frame of kind {frame.k!r} where {kind!r} belongs")
    decoder = _decoders.get(type_)
    if decoder is None:
        decoder = _decoders[type_] = msgspec.msgpack.Decoder(type_)
    try:
        return decoder.decode(frame.b)  # type: ignore[return-value]  # the decoder was made for type_
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise FrameRefused(f"{where}: {error}") from error
