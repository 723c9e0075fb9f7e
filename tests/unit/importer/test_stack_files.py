"""Stack files: what is read of them, where labels go, and what is refused."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable

import pytest
import yaml

from interlock.errors import ConfigError
from interlock_importer.importing import import_stack
from interlock_importer.stack import read_stack

HRM = "com.docker.ucp.mesh.http: external_route=http://x,internal_port=80"
HOSTS, PORT = 'com.docker.lb.hosts: "x"', 'com.docker.lb.port: "80"'


def done(text: str) -> str:
    return import_stack(textwrap.dedent(text), "hrm").text


# Lines with a plus are what the importer adds.
LAYOUTS = {
    "a map, with comments and indents": """
 services:
   web:
     deploy:
         labels:
             com.docker.ucp.mesh.http: external_route=http://x,internal_port=80  # the route
+            com.docker.lb.hosts: "x"
+            com.docker.lb.port: "80"
             # more to come

   db: {}
""",
    "a list": """
 services:
  web:
   deploy:
    labels:
    - com.docker.ucp.mesh.http=external_route=http://x,internal_port=80
+   - com.docker.lb.hosts=x
+   - com.docker.lb.port=80
    mode: global
""",
    "a value of several lines": """
 services:
   web:
     deploy:
       labels:
         com.docker.ucp.mesh.http: >-
           external_route=http://x,internal_port=80

+        com.docker.lb.hosts: "x"
+        com.docker.lb.port: "80"
   db: {}
""",
    "in part": """
 services:
   "web":
     'deploy':
       labels:
         com.docker.ucp.mesh.http: external_route=http://x,internal_port=80
         com.docker.lb.port: 80
+        com.docker.lb.hosts: "x"
""",
    "at the end": """
 services:
   web:
     deploy:
       labels:
         com.docker.ucp.mesh.http: external_route=http://x,internal_port=80
+        com.docker.lb.hosts: "x"
+        com.docker.lb.port: "80"
 ...
""",
    "a quoted value over two lines": """
 services:
   web:
     deploy:
       labels:
         - "com.docker.ucp.mesh.http=\\
           external_route=http://x,internal_port=80"
+        - com.docker.lb.hosts=x
+        - com.docker.lb.port=80
""",
    "labels that merge an anchor": """
 x-labels: &labels
   com.docker.ucp.mesh.http: external_route=http://x,internal_port=80
 services:
   web:
     deploy:
       labels:
         <<: *labels
         a: b
+        com.docker.lb.hosts: "x"
+        com.docker.lb.port: "80"
""",
}
_LINES = {
    "as they are": lambda text: text,
    "as on Windows": lambda text: text.replace("\n", "\r\n"),
    "after a byte order mark": lambda text: "\ufeff" + text,
}


@pytest.mark.parametrize("ends", _LINES.values(), ids=_LINES)
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_labels_are_added_where_labels_are(layout: str, ends: Callable[[str], str]) -> None:
    lines = layout.lstrip("\n").splitlines(keepends=True)
    before = ends("".join(line[1:] or "\n" for line in lines if not line.startswith("+")))
    after = ends("".join(line[1:] or "\n" for line in lines))
    assert import_stack(before, "hrm").text == after
    assert import_stack(after, "hrm").text == after


def test_a_last_line_without_an_end_gets_one() -> None:
    text = f"services:\n  web:\n    deploy:\n      labels:\n        {HRM}"
    assert done(text) == f"{text}\n        {HOSTS}\n        {PORT}\n"


def test_labels_in_brackets_stay_in_brackets() -> None:
    before = '{"services": {"web": {"deploy": {"labels": {"com.docker.ucp.mesh.http": "80=http://x"}}}}}'
    after = before.replace('x"}', 'x", "com.docker.lb.hosts": "x", "com.docker.lb.port": "80"}')
    assert done(before) == after
    assert json.loads(after)


@pytest.mark.parametrize(
    ("deploy", "after"),
    [
        ("", "    deploy:\n      labels:\n        {}\n"),
        ("    deploy:\n", "    deploy:\n      labels:\n        {}\n"),
        ("    deploy: ~\n", "    deploy: \n      labels:\n        {}\n"),
        ("    deploy: {}\n", '    deploy: {"labels": {[]}}\n'),
        ("    deploy:\n     mode: global\n", "    deploy:\n     mode: global\n     labels:\n      {}\n"),
        ("    deploy:\n      labels:\n", "    deploy:\n      labels:\n        {}\n"),
        ("    deploy:\n      labels: {}\n", "    deploy:\n      labels: {[]}\n"),
        ("    deploy:\n      labels: []\n", '    deploy:\n      labels: ["com.docker.lb.hosts=x"]\n'),
        ("    deploy: {labels: }\n", '    deploy: {labels: {"com.docker.lb.hosts": "x"} }\n'),
        ("    deploy: {mode: global}\n", '    deploy: {mode: global, "labels": {[]}}\n'),
    ],
)
def test_deploy_and_labels_are_begun_where_they_are_missing(deploy: str, after: str) -> None:
    before = f"services:\n  web:\n    labels: [interlock.hosts=x]\n{deploy}  db:\n    image: db\n"
    wanted = after.replace("{[]}", '{"com.docker.lb.hosts": "x"}').replace("{}\n", f"{HOSTS}\n")
    text = import_stack(before, "v1").text
    assert text == f"services:\n  web:\n    labels: [interlock.hosts=x]\n{wanted}  db:\n    image: db\n"
    assert yaml.safe_load(text)["services"]["db"] == {"image": "db"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            f"x-d: &d\n  labels:\n    {HRM}\nservices:\n  web:\n    deploy: *d\n",
            "its `deploy` is shared with another place of the file by an anchor",
        ),
        (
            f"services:\n  web:\n    deploy: &d\n      labels:\n        {HRM}\n  db:\n    deploy: *d\n",
            "its `deploy` is shared with another place of the file by an anchor",
        ),
        (
            f"x-s: &s\n  deploy:\n    labels:\n      {HRM}\nservices:\n  web:\n    <<: *s\n",
            "its `deploy` comes from an anchor",
        ),
        (
            f"x-l: &l\n  labels:\n    {HRM}\nservices:\n  web:\n    deploy:\n      <<: *l\n      mode: global\n",
            "its `labels` comes from an anchor",
        ),
        (
            f"x-l: &l\n  {HRM}\nservices:\n  web:\n    deploy:\n      labels: *l\n",
            "its `deploy.labels` is shared with another place of the file by an anchor",
        ),
        (
            f"services:\n  web: &w\n    deploy:\n      labels:\n        {HRM}\n  db: *w\n",
            "the service is shared with another place of the file by an anchor",
        ),
        (
            f"x: &x\n  web:\n    deploy:\n      labels:\n        {HRM}\nservices: *x\n",
            "the service comes from an anchor",
        ),
        (
            f"x: &x\n  web:\n    deploy:\n      labels:\n        {HRM}\nservices:\n  <<: *x\n",
            "the service comes from an anchor",
        ),
    ],
)
def test_what_others_share_is_left_and_said(text: str, reason: str) -> None:
    imported = import_stack(text, "hrm")
    assert imported.text == text
    assert not imported.report.complete
    notes = [note for note in imported.report.notes if note.key == "deploy.labels"]
    assert {note.reason for note in notes} == {reason}
    assert "com.docker.lb.hosts=x  com.docker.lb.port=80" in notes[0].remedy


def test_labels_that_are_there_win_and_a_difference_is_told() -> None:
    labels = f"        {HRM}\n        com.docker.lb.hosts: y\n        {PORT}\n"
    text = f"services:\n  web:\n    deploy:\n      labels:\n{labels}"
    imported = import_stack(text, "hrm")
    assert imported.text == text
    (note,) = [note for note in imported.report.notes if note.kind == "kept"]
    assert (note.key, note.value) == ("com.docker.lb.hosts", "y")
    assert not imported.report.complete
    same = text.replace("hosts: y", "hosts: ' X. '")
    assert import_stack(same, "hrm").report.complete


def test_a_variable_is_kept_and_said_to_be_unjudged() -> None:
    route = "external_route=http://${HOST:-x.org},internal_port=80"
    imported = import_stack(f"services: {{web: {{deploy: {{labels: ['com.docker.ucp.mesh.http={route}']}}}}}}", "hrm")
    assert "com.docker.lb.hosts=${HOST:-x.org}" in imported.text
    assert [note.key for note in imported.report.notes if note.kind == "unjudged"] == ["com.docker.lb.hosts"]
    assert imported.report.complete


def test_two_dollars_are_one_and_no_variable() -> None:
    route = "external_route=http://a$$b,internal_port=80,sticky_sessions=s$$id"
    imported = import_stack(f"services: {{web: {{deploy: {{labels: ['com.docker.ucp.mesh.http={route}']}}}}}}", "hrm")
    assert "com.docker.lb.sticky_session_cookie=s$$id" in imported.text
    notes = [note for note in imported.report.notes if note.kind != "mapped"]
    assert [(note.kind, note.key, note.value) for note in notes] == [("problem", "com.docker.lb.hosts", "a$b")]


def test_where_adding_would_change_something_the_service_is_left_and_the_others_are_not() -> None:
    # The last line has no end; with one, the value would have one too.
    good = f"services:\n  web:\n    deploy:\n      labels:\n        {HRM}\n"
    odd = "  odd:\n    deploy:\n      labels:\n        com.docker.ucp.mesh.http: |\n          80=http://y"
    imported = import_stack(good + odd, "hrm")
    assert imported.text == f"{good}        {HOSTS}\n        {PORT}\n{odd}"
    (note,) = [note for note in imported.report.notes if note.key == "deploy.labels"]
    assert note.service == "odd"
    assert "nothing can be added without changing" in note.reason
    assert [service.added for service in imported.report.services][1] == ()


def test_what_is_written_is_judged_as_the_planner_would() -> None:
    imported = import_stack(done(f"services: {{web: {{deploy: {{labels: ['{HRM.replace(': ', '=')}x']}}}}}}"), "hrm")
    (note,) = [note for note in imported.report.notes if note.kind == "problem"]
    assert (note.key, note.value) == ("com.docker.lb.port", "80x")
    assert not imported.report.complete


def test_ports_networks_and_labels_of_every_form() -> None:
    stack = read_stack(
        textwrap.dedent("""
        services:
          web:
            labels: {a: 1, b: , c: true, d: "null"}
            ports: ["80", "8080:81", "127.0.0.1:1:82/tcp", 5/udp, {target: 83}, {target: 84, protocol: udp}, "${P}"]
            expose: [9000, "9001-9002"]
            networks: {front: {aliases: [x]}, back: , mesh: , old: , other: }
        networks:
          front: {external: true, name: real-front}
          back: {external: {name: real-back}}
          mesh: {labels: {com.docker.ucp.mesh.http: "true"}}
          old: {external: true, name: ucp-hrm}
        """)
    )
    (web,) = stack.services
    assert web.container_labels == {"a": "1", "b": "", "c": "true", "d": "null"}
    assert web.ports == ("80", "81", "82", "83", "")
    assert web.exposed == ("9000", "")
    assert [network.name for network in web.networks] == ["real-front", "real-back", "mesh", "ucp-hrm", "other"]
    assert [network.name for network in web.networks if network.hrm] == ["mesh", "ucp-hrm"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("# nothing", "is empty"),
        ("a: [", "is not YAML in line 1"),
        ("services:\n\tweb: {}", "is not YAML in line 2, column 1"),
        ("services: {}\x00", "is not YAML"),
        ("services: {}\n---\nservices: {}", "several documents"),
        ("hello", "is no map with `services`"),
        ("[services]", "is no map with `services`"),
        ("web:\n  image: x", "has no map `services`"),
        ("services: [web]", "has no map `services`"),
        ("services: {web: 3}", "the service web is no map"),
        ("services: {web: {deploy: 3}}", "`deploy` of the service web is no map"),
        ("services: {web: {labels: 3}}", "`labels` of the service web are neither a map nor a list"),
        ("services: {web: {labels: {a: []}}}", "hold something that is no text"),
        ("services: {web: {}, web: {}}", "the key 'web' twice"),
        ("services: {web: *nobody}", "names *nobody in line 1"),
        ("services: &s {web: *s}", "names *s in line 1"),
        ("services: {[a]: b}", "a key that is not a text"),
        (f"services: {'[' * 80}{']' * 80}", "nested deeper"),
    ],
)
def test_what_is_no_stack_file_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(reason)):
        import_stack(text, "hrm")


def test_a_file_of_version_2_is_imported_and_said_to_need_version_3() -> None:
    imported = import_stack("version: '2.1'\nservices: {}\n", "v1")
    assert [(note.kind, note.key, note.value) for note in imported.report.notes] == [("unmapped", "version", "2.1")]
    assert import_stack("version: '3.8'\nservices: {}\n", "v1").report.complete


def test_of_merged_maps_the_own_keys_come_first_and_then_the_earlier_ones() -> None:
    text = """
    x-a: &a {com.docker.ucp.mesh.http: "80=http://a", k: a}
    x-b: &b {com.docker.ucp.mesh.http: "80=http://b", com.docker.ucp.mesh.http.2: "80=http://bb"}
    services:
      web:
        deploy:
          labels:
            <<: [*a, *b]
            k: own
    """
    assert 'com.docker.lb.hosts: "a,bb"' in done(text)
    (web,) = read_stack(textwrap.dedent(text)).services
    assert web.labels["k"] == "own"


def test_a_long_chain_of_merges_is_followed_to_its_end() -> None:
    lines = [f"a0: &a0 {{deploy: {{labels: ['{HRM.replace(': ', '=')}']}}}}"]
    lines += [f"a{n}: &a{n} {{<<: *a{n - 1}}}" for n in range(1, 2000)]
    imported = import_stack("\n".join([*lines, "services: {web: *a1999}"]), "hrm")
    assert imported.report.services[0].labels["com.docker.lb.hosts"] == "x"


def test_merges_that_multiply_cost_nothing() -> None:
    lines = ["a0: &a0 {k: v}"]
    lines += [f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 60)]
    imported = import_stack("\n".join([*lines, "services: {web: *a59}"]), "hrm")
    assert imported.report.complete
