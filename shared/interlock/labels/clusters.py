"""The family of service clusters: which group of proxies routes a service."""

from __future__ import annotations

from interlock.labels.label import PREFIX, Label, parse_text

SERVICE_CLUSTER: Label[str] = Label(
    name=f"{PREFIX}service_cluster",
    doc="The service cluster whose proxies route the service; any text, blank for the unnamed one.",
    example="us-east",
    default="",
    parse=parse_text,
)
