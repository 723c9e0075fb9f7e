"""What of a stack file reaches the planner: labels of either form, several files, networks, and what Docker refuses."""

from __future__ import annotations

import pytest

from interlock.model.swarm import Network, PublishedPort
from interlock_lint.finding import Finding
from interlock_lint.number import as_docker_writes
from support.stacks import GOOD, LB, checked, codes, dumped, findings, stack_text

HEAD = """\
services:
  shop:
    networks: [web]
    deploy:
      labels:
"""
TAIL = "\nnetworks: {web: {}}\n"
LABELS = {LB + "port": "80"}


def only(found: tuple[Finding, ...]) -> Finding:
    (one,) = found
    return one


def labels_of(*texts: str, stack: str = "", **environment: str) -> dict[str, str]:
    labels = checked(*texts, stack=stack, **environment).services["shop"].labels
    return {key.removeprefix(LB): value for key, value in labels.items()}


def test_a_good_stack_has_nothing_to_correct() -> None:
    found = checked(stack_text())
    assert found.report.findings == ()
    assert (found.report.services, found.report.exit_status(strict=True)) == (1, 0)


def test_labels_as_a_list_and_as_a_mapping() -> None:
    listed = HEAD + f"        - {LB}hosts=a.example,b.example\n        - {LB}network\n        - {LB}port=80=1" + TAIL
    mapped = HEAD + f'        {LB}hosts: a.example,b.example\n        {LB}network:\n        {LB}port: "80=1"' + TAIL
    assert labels_of(listed) == labels_of(mapped) == {"hosts": "a.example,b.example", "network": "", "port": "80=1"}
    assert [(f.code, f.line) for f in findings(listed)] == [("port-invalid", 8)]


def test_the_place_of_a_label_and_of_one_that_is_missing() -> None:
    text = HEAD + f"        other: x\n        {LB}hosts: a b" + TAIL
    found = findings(text)
    assert [(f.code, f.file, f.line, f.column) for f in found] == [
        ("port-missing", "a.yml", 5, 7),
        ("host-invalid", "a.yml", 7, 9),
    ]


def test_anchors_and_extensions() -> None:
    text = f"""\
        x-lb: &lb
          {LB}port: "no"
        services:
          shop:
            networks: [web]
            deploy: {{labels: {{<<: *lb, {LB}hosts: a.example}}}}
          blog:
            networks: [web]
            deploy: {{labels: {{<<: *lb, {LB}hosts: b.example, {LB}port: "80"}}}}
        networks: {{web: {{}}}}
        """
    found = only(findings(text))
    assert (found.service, found.code, found.line) == ("shop", "port-invalid", 2)


def test_variables_come_from_the_environment() -> None:
    text = stack_text({"hosts": "${HOST:-a.example}", "port": "$PORT"})
    assert labels_of(text, PORT="80", HOST="b.example") == {"hosts": "b.example", "port": "80"}
    assert findings(text, PORT="80") == ()
    assert codes(text) == ["port-missing", "variable-unset"]


def test_a_value_that_cannot_be_told_has_no_consequences() -> None:
    required = only(findings(stack_text({**GOOD, "hosts": "${HOST:?where is it}"})))
    assert (required.code, required.key) == ("variable-required", LB + "hosts")
    assert "where is it" in required.reason
    assert codes(stack_text({**GOOD, "hosts": "${HOST"})) == ["variable-invalid"]


@pytest.mark.parametrize("written", ["true", "false", "True"])
def test_a_flag_without_quotes_is_refused_by_docker(written: str) -> None:
    text = HEAD + f"        {LB}default_backend: {written}\n        {LB}port: 80" + TAIL
    found = only([f for f in findings(text) if f.code == "label-type"])  # type: ignore[arg-type]
    assert (found.severity, found.line) == ("error", 6)
    assert f'"{written}"' in found.remedy


@pytest.mark.parametrize(
    ("written", "meant"), [("yes", "true"), ("Yes", "true"), ("on", "true"), ("no", "false"), ("OFF", "false")]
)
def test_a_flag_in_another_word_than_true_has_one_remedy(written: str, meant: str) -> None:
    text = HEAD + f"        {LB}hosts: a.example\n        {LB}ip_hash: %s\n        {LB}port: 80" + TAIL
    found = only(findings(text % written))
    assert (found.code, found.severity, found.key) == ("label-type", "error", LB + "ip_hash")
    assert found.remedy == f'Write "{meant}", in quotes'
    assert findings(text % f'"{meant}"') == ()


@pytest.mark.parametrize("written", ["1", "y", "ja"])
def test_a_flag_without_quotes_gets_them_with_its_remedy(written: str) -> None:
    text = HEAD + f"        {LB}hosts: a.example\n        {LB}ip_hash: %s\n        {LB}port: 80" + TAIL
    found = only(findings(text % written))
    assert (found.code, found.remedy) == ("flag-invalid", 'Write "true" or "false", in quotes')
    assert only(findings(text % f"'{written}'")).remedy == "Write true or false"


def test_a_word_in_a_label_that_is_no_flag_keeps_its_word() -> None:
    text = HEAD + f"        {LB}hosts: a.example\n        {LB}sticky_session_cookie: on\n        {LB}port: 80" + TAIL
    found = only(findings(text))
    assert (found.code, found.remedy) == ("label-type", 'Write "on", in quotes')


@pytest.mark.parametrize(
    ("written", "docker"),
    [
        ("8080", "8080"),
        ("0x1F90", "8080"),
        ("010", "8"),
        ("8_080", "8080"),
        ("1.50", "1.5"),
        ("30.0", "30"),
        ("1e3", "1000"),
        ("1:30", "1:30"),
        ("0.00001", "1e-05"),
        ("9" * 500, "9" * 500),
        ("a80", "a80"),
        ("", ""),
        ("-5", "-5"),
    ],
)
def test_numbers_as_docker_writes_them(written: str, docker: str) -> None:
    assert as_docker_writes(written) == docker


def test_labels_of_containers_are_a_mistake() -> None:
    found = findings(stack_text({}, labels={LB + "hosts": "a.example", "traefik.enable": "x"}))
    one = only(found)
    assert (one.code, one.key, one.value, one.severity) == ("label-misplaced", LB + "hosts", "a.example", "error")
    assert codes(stack_text({}, labels=[f"{LB}hosts=a.example", f"{LB}port=80"])) == ["label-misplaced"] * 2


def test_a_later_file_changes_an_earlier_one() -> None:
    first = stack_text({**GOOD, "context_root": "/a"}, networks={"web": {}, "back": {}})
    second = dumped(
        {
            "services": {
                "shop": {
                    "networks": ["back"],
                    "deploy": {"labels": {LB + "port": "http", LB + "ssl_only": "true"}, "replicas": 0},
                },
                "blog": {"deploy": {"labels": {LB + "hosts": "blog.example.com"}}},
            }
        }
    )
    found = checked(first, second, stack="st")
    shop = found.services["shop"]
    assert {n.name for n in shop.networks} == {"st_web", "st_back"}
    assert (shop.replicas, shop.tasks) == (0, ())
    assert labels_of(first, second) == {**GOOD, "context_root": "/a", "port": "http", "ssl_only": "true"}
    said = {(f.service, f.code): f.file for f in found.report.findings}
    assert said[("st_shop", "port-invalid")] == "b.yml"
    assert said[("st_blog", "port-missing")] == "b.yml"


def test_a_variable_in_an_earlier_file_that_a_later_one_overrides() -> None:
    later = dumped({"services": {"shop": {"deploy": {"labels": {LB + "port": "bad"}}}}})
    assert "port-invalid" in codes(stack_text({**GOOD, "port": "${P:?}"}), later)


@pytest.mark.parametrize(
    ("network", "stack", "name"),
    [
        ({}, "st", "st_web"),
        (None, "st", "st_web"),
        ({}, "", "web"),
        ({"name": "front"}, "st", "front"),
        ({"external": True}, "st", "web"),
        ({"external": True, "name": "front"}, "st", "front"),
        ({"external": {"name": "front"}}, "st", "front"),
        ({"external": False}, "st", "st_web"),
        ({"external": True, "name": "${NET:-front}"}, "st", "front"),
    ],
)
def test_names_of_networks(network: object, stack: str, name: str) -> None:
    found = checked(stack_text(networks={"web": network}), stack=stack)
    assert found.report.findings == ()
    assert [n.name for n in found.services["shop"].networks] == [name]


def test_the_label_network_in_a_stack_without_a_name() -> None:
    text = stack_text({**GOOD, "network": "st_web"}, networks={"web": {}, "back": {}})
    both = text.replace("- web", "- web\n    - back")
    assert codes(both) == codes(both, stack="st") == []
    assert codes(both, stack="other") == ["network-unknown"]


def test_a_service_without_networks_is_on_the_default_one() -> None:
    text = dumped({"services": {"shop": {"deploy": {"labels": {LB + k: v for k, v in GOOD.items()}}}}})
    assert checked(text, stack="st").services["shop"].networks[0].name == "st_default"
    assert codes(text) == []


@pytest.mark.parametrize("name", ["host", "bridge", "none"])
def test_networks_of_one_node_are_none_that_proxies_can_join(name: str) -> None:
    assert codes(stack_text(networks={"web": {"external": True, "name": name}})) == ["network-none"]
    assert codes(stack_text(networks={"web": {"driver": "bridge"}})) == ["network-none"]
    assert codes(stack_text(networks={"web": {"name": name}})) == []


def test_predefined_networks_and_modes() -> None:
    text = stack_text(
        networks={"web": {"external": True, "name": "host"}},
        deploy={"mode": "global", "endpoint_mode": "dnsrr"},
        ports=[
            "80:80",
            {"target": 8080, "published": 80, "mode": "host"},
            {"target": 1, "mode": "host"},
            {"target": 2},
        ],
    )
    shop = checked(text).services["shop"]
    assert shop.networks == (Network(id="host", name="host", driver="host"),)
    assert shop.replicas is None
    assert shop.tasks[0].ports == (PublishedPort(target=1, published=1), PublishedPort(target=8080, published=80))


def test_services_of_different_clusters_do_not_conflict() -> None:
    other = {"networks": ["web"], "deploy": {"labels": {LB + k: v for k, v in {**GOOD, "ip_hash": "true"}.items()}}}
    assert codes(stack_text(others={"blog": other})) == ["conflict"]
    other["deploy"]["labels"][LB + "service_cluster"] = "east"  # type: ignore[index, call-overload]
    assert codes(stack_text(others={"blog": other})) == []


def test_the_service_further_up_counts_as_the_older() -> None:
    both = {name: {"deploy": {"labels": {LB + k: v for k, v in GOOD.items()}}} for name in ("zebra", "ape")}
    both["ape"]["deploy"]["labels"][LB + "ip_hash"] = "true"
    (found,) = findings(dumped({"services": both}))
    assert (found.service, found.concerned) == ("ape", ("zebra",))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("services:\n  shop: words\n", 2),
        ("services:\n  shop:\n    deploy: words\n", 3),
        ("services:\n  shop:\n    deploy:\n      labels: words\n", 4),
        ("services:\n  shop:\n    deploy:\n      labels:\n        - a: b\n", 5),
        (f"services:\n  shop:\n    deploy:\n      labels:\n        {LB}hosts: [a, b]\n        {LB}port: 80\n", 5),
        ("services:\n  shop:\n    networks: words\n", 3),
        ("services:\n  shop:\n    networks: [gone]\n", 3),
        ("services:\n  shop:\n    deploy: {endpoint_mode: dns}\n", 3),
        ("services:\n  shop:\n    deploy: {replicas: many}\n", 3),
        ("services: {}\nnetworks: [web]\n", 2),
        ('version: "2"\nservices: {}\n', 1),
        ('services: {}\nversion: "3.14"\n', 2),
        ("version: 3.8\nservices: {}\n", 1),
        ("version:\nservices: {}\n", 1),
        ("version: [3]\nservices: {}\n", 1),
        ("services: {}\nname: shop\n", 2),
        ("services:\n  shop:\n    platform: linux\n", 3),
        ("services:\n  shop:\n    deploy:\n      x-own: 1\n", 4),
    ],
)
def test_what_docker_refuses(text: str, line: int) -> None:
    found = [f for f in findings(text) if f.code == "stack-invalid"]
    assert [f.line for f in found] == [line]
    assert found[0].reason
    assert found[0].remedy


def test_a_label_or_key_that_stands_twice() -> None:
    text = HEAD + f"        - {LB}hosts=a.example\n        - {LB}port=80\n        - {LB}hosts=b.example" + TAIL
    found = only(findings(text))
    assert (found.code, found.line) == ("key-repeated", 8)
    assert "line 6" in found.reason
    twice = only(findings("services:\n  shop: {}\n  shop: {}\n"))
    assert (twice.code, twice.line) == ("key-repeated", 3)


@pytest.mark.parametrize("text", ["a: 1\n", "apiVersion: v1\nkind: Service\n", "services: [a]\n"])
def test_yaml_that_is_no_stack(text: str) -> None:
    report = checked(text, stack_text({**GOOD, "port": "x"})).report
    (unread,) = report.unread
    assert (unread.file, unread.line) == ("a.yml", 1)
    assert [f.file for f in report.findings] == ["b.yml"]
    assert report.exit_status(strict=False) == 2


def test_a_network_that_an_unread_file_may_define_is_not_missed() -> None:
    text = "services:\n  shop:\n    networks: [web]\n"
    assert codes(text) == ["stack-invalid"]
    assert checked("a: [", text).report.findings == ()


@pytest.mark.parametrize(
    ("part", "where", "meant"),
    [
        ({"deploy": {"label": LABELS}}, "label", "labels"),
        ({"deploy": {"Labels": LABELS}}, "Labels", "labels"),
        ({"deploy": {"lables": [f"{LB}port=80"]}}, "lables", "labels"),
        ({"depoly": {"labels": LABELS}}, "depoly", "deploy"),
        ({"lables": LABELS}, "lables", "labels"),
    ],
)
def test_a_mistyped_key_is_told_with_the_one_that_was_meant(part: dict[str, object], where: str, meant: str) -> None:
    found = only(findings(dumped({"services": {"shop": part}})))
    assert (found.code, found.severity, found.service, found.key) == ("stack-invalid", "error", "shop", where)
    assert found.remedy == f"Did you mean {meant}?"


@pytest.mark.parametrize(
    ("stack", "service", "where"),
    [
        ({"services": {"shop": {"build": {"labels": LABELS}}}}, "shop", "services.shop.build.labels"),
        ({"services": {"shop": {"build": {"labels": [f"{LB}port=80"]}}}}, "shop", "services.shop.build.labels"),
        ({"services": {"shop": {"deploy": LABELS}}}, "shop", "services.shop.deploy"),
        ({"services": {"shop": LABELS}}, "shop", "services.shop"),
        ({"services": {}, "networks": {"web": {"labels": LABELS}}}, "", "networks.web.labels"),
        ({"services": {}, **LABELS}, "", "at the top"),
        ({"services": {}, "volumes": {"a": {"b": [{"labels": [LABELS]}]}}}, "", "volumes.a.b.labels"),
    ],
)
def test_labels_that_nothing_reads_are_told_wherever_they_stand(
    stack: dict[str, object], service: str, where: str
) -> None:
    found = [f for f in findings(dumped(stack)) if f.code == "label-misplaced"]
    assert [(f.service, f.key, f.value, f.severity) for f in found] == [(service, LB + "port", "80", "error")]
    assert where in found[0].reason
    assert "deploy.labels" in found[0].remedy


def test_labels_that_are_merged_in_or_passed_to_a_program_are_no_strays() -> None:
    text = f"""\
        x-routed: &routed {{{LB}hosts: a.example, {LB}port: 80}}
        services:
          shop:
            x-own: {{{LB}port: 80}}
            command: [--label, {LB}port=80, "{LB}port=80"]
            deploy: {{labels: {{<<: *routed}}}}
    """
    assert findings(text) == ()


def test_labels_of_a_service_that_an_alias_puts_elsewhere_too() -> None:
    text = f"""\
        services:
          shop: {{deploy: {{labels: &routed {{{LB}hosts: a.example, {LB}port: 80}}}}}}
        volumes: {{a: {{labels: *routed}}, b: {{labels: *routed}}}}
    """
    assert codes(text) == ["label-misplaced"] * 2


@pytest.mark.parametrize("version", ["", "3", "3.0", "3.13"])
def test_versions_that_docker_takes(version: str) -> None:
    assert findings(f'version: "{version}"\nservices: {{}}\n') == ()


@pytest.mark.parametrize(
    ("label", "value", "remedy"),
    [
        ("port", "yes", "Write the one port that the container listens on, such as 8080"),
        ("ip_hash", ".inf", 'Write "true" or "false", in quotes'),
        ("hosts", "on", 'Write "on", in quotes'),
    ],
)
def test_what_is_to_be_quoted_is_a_value_of_the_label(label: str, value: str, remedy: str) -> None:
    text = f"services:\n  shop:\n    deploy:\n      labels:\n        {LB}{label}: {value}\n"
    found = only(tuple(f for f in findings(text) if f.key == LB + label))
    assert (found.code, found.remedy) == ("label-type", remedy)
