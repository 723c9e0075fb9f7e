"""The family of service clusters: which group of proxies routes a service."""

from __future__ import annotations

from interlock.labels.label import PREFIX, Label, Parsed, refused
from interlock.model.names import CLUSTER_NAMES, is_cluster_name


def _parse(text: str) -> Parsed[str]:
    name = text.strip()
    if is_cluster_name(name):
        return Parsed(value=name)
    remedy = f"Write one name as the proxies have it: {CLUSTER_NAMES}, such as us-east"
    return refused(
        "cluster-invalid", text, "is not the name of a service cluster, and so the service is not routed", remedy
    )


SERVICE_CLUSTER: Label[str] = Label(
    name=f"{PREFIX}service_cluster",
    syntax="a name of at most 63 letters, digits, `-`, `_` and `.`; blank for the unnamed one",
    doc="The service cluster whose proxies route the service, and no others.",
    example="us-east",
    default="",
    default_words="the unnamed one",
    parse=_parse,
    field="service_cluster",
    essential=True,
)

LABELS = (SERVICE_CLUSTER,)
