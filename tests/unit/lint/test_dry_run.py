"""What deploying would change, drawn from a state of the bus and a stack; endpoints are Swarm's business."""

from __future__ import annotations

import msgspec

from interlock.model.swarm import Network, Service
from interlock_lint.checking import compare
from interlock_lint.dry_run import Attachment, Change, ClusterState, Sharer, State
from interlock_lint.report import Against, Report
from interlock_planner.plan import scratch
from support.stacks import GOOD, LB, checked, dumped, stack_text
from support.swarm_values import service, task

WEB = Network(id="n1", name="st_web", vip="10.0.0.2")


def on_bus(
    name: str, created: str = "2024-05-01T10:00:00Z", networks: tuple[Network, ...] = (WEB,), **labels: str
) -> Service:
    return service(name, task(f"t-{name}", network=networks[0].id), created=created, networks=networks, **labels)


def cluster(*services: Service, **more: object) -> ClusterState:
    state = ClusterState(services={s.id: s for s in services}, plan=scratch(services))
    return msgspec.structs.replace(state, **more)


def against(text: str, state: State) -> tuple[Report, Against]:
    report = compare(checked(text, stack="st"), state, bus="redis://b", region="r", stack="st")
    assert report.against is not None
    return report, report.against


SHOP = on_bus("st_shop", hosts="shop.example.com")


def test_what_is_deployed_already_changes_nothing() -> None:
    report, found = against(stack_text(), {"": cluster(SHOP)})
    assert report.findings == ()
    assert found == Against(bus="redis://b", region="r")


def test_hosts_and_routes_come_and_go() -> None:
    shop = on_bus("st_shop", hosts="old.example.com,shop.example.com")
    blog = on_bus("blog", hosts="shop.example.com", context_root="/blog")
    _, found = against(stack_text({**GOOD, "hosts": "new.example.com"}), {"": cluster(shop, blog)})
    assert found.changes == (
        Change(cluster="", host="new.example.com", kind="added"),
        Change(cluster="", host="old.example.com", kind="removed"),
        Change(cluster="", host="shop.example.com", path="/", kind="removed"),
    )


def test_a_setting_that_changes_is_told_with_both_values() -> None:
    text = stack_text({**GOOD, "sticky_session_cookie": "sid", "max_fails": 3})
    _, found = against(text, {"": cluster(SHOP)})
    at = Change(cluster="", host="shop.example.com", path="/", kind="changed")
    passive = '{"id-st_shop":{"max_fails":3,"fail_timeout":null}}'
    assert found.changes == (
        msgspec.structs.replace(at, setting="sticky_cookie", before='""', after='"sid"'),
        msgspec.structs.replace(at, setting="passive", before="{}", after=passive),
    )


def test_a_host_that_becomes_a_redirect() -> None:
    text = stack_text({**GOOD, "redirects": "http://shop.example.com,https://www.example.com"})
    _, found = against(text, {"": cluster(SHOP)})
    assert [(c.path, c.kind, c.setting) for c in found.changes] == [("", "changed", "redirect"), ("/", "removed", "")]


def test_who_shares_a_host_and_whose_settings_count() -> None:
    older = on_bus("old", created="2023-01-01T00:00:00Z", hosts="shop.example.com", ip_hash="true")
    younger = on_bus("young", created="2025-01-01T00:00:00Z", hosts="shop.example.com")
    report, found = against(stack_text(), {"": cluster(older, SHOP, younger)})
    one = Sharer(
        cluster="", host="shop.example.com", service="st_shop", path="/", other="old", other_path="/", other_older=True
    )
    two = msgspec.structs.replace(one, other="young", other_older=False)
    assert found.sharers == (one, two)
    (conflict,) = report.findings
    assert (conflict.code, conflict.concerned, conflict.file) == ("conflict", ("old",), "a.yml")
    # The young one has been told before.
    assert found.neighbours == ()


def test_a_new_service_is_the_youngest_and_a_neighbour_is_told_of_what_is_new() -> None:
    young = on_bus("young", created="2025-01-01T00:00:00Z", hosts="shop.example.com")
    report, found = against(stack_text({**GOOD, "ip_hash": "true"}), {"": cluster(young)})
    assert [f.code for f in report.findings] == ["conflict"]
    assert found.sharers[0].other_older
    report, found = against(stack_text({**GOOD, "ip_hash": "true"}), {"": cluster(SHOP, young)})
    assert report.findings == ()
    (told,) = found.neighbours
    assert (told.service, told.code, told.concerned) == ("young", "conflict", ("st_shop",))


def test_a_service_that_loses_its_labels_or_moves_leaves_its_cluster() -> None:
    state = {"": cluster(SHOP), "east": cluster()}
    _, found = against(dumped({"services": {"shop": {}}}), state)
    assert found.changes == (Change(cluster="", host="shop.example.com", kind="removed"),)
    _, found = against(stack_text({**GOOD, "service_cluster": "east"}), state)
    assert found.changes == (
        Change(cluster="", host="shop.example.com", kind="removed"),
        Change(cluster="east", host="shop.example.com", kind="added"),
    )


def test_a_service_cluster_that_is_not_there_yet_may_be_misspelt() -> None:
    _, found = against(stack_text({**GOOD, "service_cluster": "eats"}), {"": cluster(), "east": cluster()})
    (doubt,) = found.doubts
    assert doubt.startswith("eats: no service of it is on the bus yet")
    assert doubt.endswith("misspelt (com.docker.lb.service_cluster): there are `east`, the unnamed one")
    _, found = against(stack_text({**GOOD, "service_cluster": "east"}), {"": cluster(), "east": cluster()})
    assert found.doubts == ()


def test_networks_that_the_proxies_have_to_be_on() -> None:
    front = Network(id="n2", name="front", vip="10.0.2.2")
    labels = {**GOOD, "network": "front"}
    text = stack_text(labels, on=["web", "front"], networks={"web": {}, "front": {"external": True}})
    report, found = against(text, {"": cluster(SHOP)})
    assert found.attachments == (Attachment(cluster="", network="front", service="st_shop", known=False),)
    (finding,) = report.findings
    assert (finding.code, finding.severity, finding.key) == ("network-unreachable", "warning", LB + "network")
    assert "--network-add front" in finding.remedy
    assert text.splitlines()[finding.line - 1].strip() == f"{LB}network: front"
    served = on_bus("other", networks=(front,), hosts="other.example.com")
    assert against(text, {"": cluster(SHOP, served)})[0].findings == ()
    report, found = against(text, {"": cluster(SHOP, served, unreachable=frozenset({"front"}))})
    assert found.attachments[0].known
    assert "says that it is not on" in report.findings[0].reason


def test_services_that_cannot_be_read_stay_as_the_plan_shows_them() -> None:
    blog = on_bus("blog", hosts="shop.example.com", context_root="/blog")
    state = cluster(SHOP, blog)
    hidden = msgspec.structs.replace(state, services={SHOP.id: SHOP}, refused={blog.id: "newer"}, doubts=("1 part",))
    _, found = against(stack_text(), {"": hidden})
    assert found.changes == ()
    assert [(s.other, s.other_path) for s in found.sharers] == [("blog", "/blog")]
    assert found.doubts == ("the unnamed service cluster: 1 part",)


def test_other_clusters_and_other_hosts_are_left_out() -> None:
    stale = cluster(on_bus("blog", hosts="blog.example.com"))
    state = {"": msgspec.structs.replace(stale, plan=scratch([SHOP])), "east": cluster(doubts=("x",))}
    _, found = against(stack_text({**GOOD, "hosts": "n.example.com"}), state)
    assert found.changes == (Change(cluster="", host="n.example.com", kind="added"),)
    assert found.doubts == ()
