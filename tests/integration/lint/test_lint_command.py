"""`interlock lint` as it is called: files, environment, formats, exit status; and against a real bus with a planner."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from interlock.bus.connection import Bus
from interlock.bus.env import RegionEnv
from interlock.bus.outcomes import Outcomes
from interlock.bus.registry import Registry
from interlock.cli import main
from interlock.model.names import Cluster
from interlock.model.outcome import Outcome, Unreachable
from interlock.model.swarm import Network
from interlock.model.version import Token
from support.guarded_bus import Guarded
from support.planner_lab import Pen, eventually, planner
from support.stacks import GOOD, LB, stack_text
from support.swarm_values import service, task

BAD = stack_text({**GOOD, "port": "http"})
DOUBTFUL = stack_text({**GOOD, "contxt_root": "/a"})


def lint(*arguments: str | Path, stdin: str | None = None, **environment: str) -> Result:
    environment = {"INTERLOCK_RUN_DIR": "/nowhere", **environment}
    done = CliRunner(env=environment).invoke(main, ["lint", *map(str, arguments)], input=stdin)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.output
    return done


def report(*arguments: str | Path, status: int, **environment: str) -> dict[str, Any]:
    done = lint("--json", *arguments, **environment)
    assert done.exit_code == status, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    file = tmp_path / "stack.yml"
    file.write_text(stack_text())
    return file


@pytest.mark.parametrize(
    ("text", "options", "status"),
    [
        (stack_text(), ["--strict"], 0),
        (DOUBTFUL, [], 0),
        (DOUBTFUL, ["--strict"], 1),
        (BAD, [], 1),
        ("services: [", [], 2),
        ("a: b", ["--strict"], 2),
    ],
)
def test_the_exit_status(stack: Path, text: str, options: list[str], status: int) -> None:
    stack.write_text(text)
    for form in ("text", "json", "github", "sarif"):
        assert lint("--format", form, *options, stack).exit_code == status


def test_what_cannot_be_read_does_not_hide_what_can(tmp_path: Path, stack: Path) -> None:
    stack.write_text(BAD)
    missing, binary = tmp_path / "missing.yml", tmp_path / "binary.yml"
    binary.write_bytes(b"services:\n  \xff: {}\n")
    found = report(stack, missing, tmp_path, binary, "nul\0.yml", status=2)
    assert [(f["file"], f["code"]) for f in found["findings"]] == [(str(stack), "port-invalid")]
    assert [(u["file"], u["line"]) for u in found["unread"]] == [
        (str(missing), 0),
        (str(tmp_path), 0),
        ("nul\0.yml", 0),
        (str(binary), 2),
    ]
    assert "No such file" in found["unread"][0]["reason"]


def test_names_that_are_no_text_are_shown_escaped(tmp_path: Path) -> None:
    file = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.yml")
    Path(file).write_text(BAD)
    for form in ("text", "json", "github", "sarif"):
        done = lint("--format", form, file)
        assert done.exit_code == 1
        assert "xff.yml" in done.stdout


def test_a_stack_file_does_not_write_to_the_terminal(stack: Path) -> None:
    stack.write_text(f'services: {{"\\e[2J": {{deploy: {{labels: {{"{LB}\\e]0;": "\\e[31m"}}}}}}}}')
    done = lint(stack)
    assert done.exit_code == 1
    assert "\\x1b[2J" in done.stdout
    assert "\x1b" not in done.stdout


def test_stdin_and_the_environment() -> None:
    text = stack_text({**GOOD, "port": "${LINT_PORT}"})
    assert lint("-", stdin=text, LINT_PORT="80").exit_code == 0
    done = lint("-", stdin=text, LINT_PORT="no")
    assert done.exit_code == 1
    assert done.stdout.startswith("<stdin>:10:9: error: shop: com.docker.lb.port='no'\n")


def test_without_files_or_with_an_option_that_makes_no_sense(stack: Path) -> None:
    assert lint().exit_code == 2
    assert "--against needs --stack" in lint("--against", "redis://b", stack).stderr
    assert "--against bus: name the bus" in lint("--against", "bus", "--stack", "st", stack).stderr


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a b/c", "such as a-b-c"),
        ("shop.eu", "such as shop-eu"),
        ("_shop", "such as shop"),
        ("-shop", "such as shop"),
        ("caf\u00e9", "such as caf"),
        ("shop\n", "such as shop"),
        ("/", "such as shop"),
        ("", "is empty"),
        (" '", "is empty"),
        ("s" * 62, "has 62 characters"),
    ],
)
def test_a_name_that_docker_takes_for_no_stack(stack: Path, name: str, said: str) -> None:
    done = lint(f"--stack={name}", stack)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"--stack {name!r}: " in done.stderr
    assert said in done.stderr


@pytest.mark.parametrize("name", ["shop", "0", "a-_b_", "S" * 61])
def test_a_name_that_docker_takes_for_a_stack(stack: Path, name: str) -> None:
    assert lint("--stack", name, stack).exit_code == 0


def test_a_bus_in_the_environment_is_not_asked_unless_lint_is_told_to(stack: Path) -> None:
    assert lint(stack, INTERLOCK_BUS="redis://127.0.0.1:1").exit_code == 0


@pytest.mark.parametrize("form", ["text", "json", "github", "sarif"])
def test_a_bus_that_does_not_answer_is_told_beside_what_the_files_say(stack: Path, form: str) -> None:
    stack.write_text(BAD)
    done = lint("--format", form, "--stack", "st", "--against", "redis://u:secret@127.0.0.1:1", stack)
    assert done.exit_code == 2
    assert "port-invalid" in done.stdout
    assert "redis://u:***@127.0.0.1:1 cannot be asked" in done.stdout
    assert "secret" not in done.output


def test_sarif_has_the_shape_that_its_schema_asks_for(stack: Path) -> None:
    stack.write_text(stack_text({**GOOD, "port": "http", "contxt_root": "/a"}))
    log = json.loads(lint("--format", "sarif", stack, "gone.yml").stdout)
    assert log.keys() == {"$schema", "version", "runs"}
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    assert all(rule["shortDescription"]["text"].endswith(".") for rule in rules)
    assert {r["ruleId"]: r["level"] for r in run["results"]} == {"port-invalid": "error", "label-unknown": "warning"}
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["message"]["text"]
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == str(stack)
        assert place["region"]["startLine"] >= 1 <= place["region"]["startColumn"]
    (invocation,) = run["invocations"]
    assert not invocation["executionSuccessful"]
    assert invocation["toolExecutionNotifications"][0]["level"] == "error"


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("text", ": note: shop: com.docker.lb.max_fails='3'\n"),
        ("json", '"severity": "note"'),
        ("github", "::notice file="),
        ("sarif", '"level": "note"'),
    ],
)
def test_what_a_proxy_has_in_its_own_way_is_noted(stack: Path, form: str, said: str) -> None:
    stack.write_text(stack_text({**GOOD, "max_fails": "3"}))
    for more in ((), ("--strict",), ("--proxy", "haproxy"), ("--proxy", "nginx", "--proxy", "haproxy")):
        done = lint("--format", form, *more, stack)
        assert done.exit_code == 0
        assert said in done.stdout
        assert "haproxy counts, in a row, only connections" in done.stdout
    assert said not in lint("--format", form, "--proxy", "nginx", stack).stdout
    if form == "text":
        assert lint(stack).stdout.endswith("0 errors, 0 warnings, 1 note in 1 labelled service of 1 file\n")
    done = lint("--proxy", "ngingx", stack)
    assert done.exit_code == 2
    assert "'nginx', 'haproxy'" in done.stderr


# --- against a bus ---

ON = Network(id="n1", name="st_web", vip="10.0.1.2")
SHOP = service("st_shop", task("t1", network="n1"), networks=(ON,), hosts="shop.example.com")
OLDER = service(
    "old", task("t2", network="n1"), networks=(ON,), created="2020-01-01T00:00:00Z", hosts="new.example.com"
)


def everything(url: str) -> dict[bytes, object]:
    """All that is on the bus."""
    bus = Bus.connect(url)
    try:
        return {key: bus.command("DUMP", key) for key in sorted(bus.command("KEYS", "*"))}
    finally:
        bus.close()


def planned(guarded: Guarded, cluster: Cluster) -> None:
    """The services with a plan of them, as planner and watcher leave them."""
    bus = Bus.connect(guarded.admin)
    pen = Pen(bus, cluster)
    pen.listing(SHOP, OLDER)
    with planner(guarded.admin):
        eventually(lambda: pen.hosts() == {"shop.example.com", "new.example.com"})
    bus.close()


def test_a_dry_run_tells_what_then_happens_and_writes_nothing(guarded: Guarded, stack: Path) -> None:
    cluster = Cluster("r", "")
    planned(guarded, cluster)
    before = everything(guarded.admin)
    wanted = {**GOOD, "hosts": "new.example.com,third.example.com", "ip_hash": "true"}
    stack.write_text(stack_text(wanted))
    options = ["--region", "r", "--stack", "st", "--against", "bus", "--bus-file", guarded.file("operator"), stack]
    found = report(*options, status=0)
    assert everything(guarded.admin) == before
    changes = {(c["host"], c["kind"]) for c in found["against"]["changes"]}
    assert changes == {
        ("new.example.com", "changed"),
        ("third.example.com", "added"),
        ("shop.example.com", "removed"),
    }
    (sharer,) = found["against"]["sharers"]
    assert (sharer["host"], sharer["other"], sharer["other_older"]) == ("new.example.com", "old", True)
    assert [(f["code"], f["concerned"]) for f in found["findings"]] == [("conflict", ["old"])]
    # Now it is deployed.
    bus = Bus.connect(guarded.admin)
    pen = Pen(bus, cluster)
    deployed = msgspec.structs.replace(SHOP, labels={LB + key: value for key, value in wanted.items()})
    with planner(guarded.admin):
        pen.change(deployed)
        eventually(lambda: pen.hosts() == {"new.example.com", "third.example.com"})
        conflicts = pen.plan().problems[SHOP.id]
    bus.close()
    assert [(p.code, p.reason) for p in conflicts] == [(f["code"], f["reason"]) for f in found["findings"]]
    assert report(*options, status=0)["against"]["changes"] == []


def test_a_network_that_a_proxy_says_it_is_not_on(guarded: Guarded, stack: Path) -> None:
    cluster = Cluster("r", "")
    planned(guarded, cluster)
    bus = Bus.connect(guarded.admin)
    said = Unreachable(service="st_shop", address="10.0.1.10:8080", network="st_web")
    Outcomes(bus).publish(cluster, Outcome(proxy="p1", extension="nginx", unreachable=(said,)), ttl=60)
    bus.close()
    url = Path(guarded.file("operator")).read_text()
    found = report("--region", "r", "--stack", "st", "--against", url, stack, status=0)
    assert [f["code"] for f in found["findings"]] == ["network-unreachable"]
    assert found["against"]["attachments"] == [
        {"cluster": "", "network": "st_web", "service": "st_shop", "known": True}
    ]
    assert found["against"]["doubts"] == []
    assert ":***@" in found["against"]["bus"]


def test_a_role_that_may_not_look_is_told_so(guarded: Guarded, stack: Path) -> None:
    done = lint("--region", "r", "--stack", "st", "--against", "bus", "--bus-file", guarded.file("proxy"), stack)
    assert done.exit_code == 2
    assert "does not allow this to our user" in done.stdout


@pytest.mark.parametrize("form", ["text", "json", "github", "sarif"])
def test_a_region_that_is_not_there_is_told_with_those_that_are(guarded: Guarded, stack: Path, form: str) -> None:
    bus = Bus.connect(guarded.admin)
    for known in ("r", "east"):
        Registry(bus).register(Cluster(known, ""))
    bus.close()
    stack.write_text(BAD)
    options = ["--format", form, "--stack", "st", "--against", "bus", "--bus-file", guarded.file("operator")]
    done = lint(*options, "--region", "eats", stack)
    assert done.exit_code == 2
    assert "--region eats: the bus does not know this region; it knows east, r;" in done.stdout
    assert "such as --region east" in done.stdout
    assert "port-invalid" in done.stdout


def test_a_bus_that_knows_no_region(guarded: Guarded, stack: Path) -> None:
    done = lint("--stack", "st", "--against", "bus", "--bus", guarded.admin, stack)
    assert done.exit_code == 2
    assert "--region default: the bus does not know this region; it knows none yet" in done.stdout


def test_a_region_whose_watcher_has_found_nothing_yet(guarded: Guarded, stack: Path) -> None:
    bus = Bus.connect(guarded.admin)
    RegionEnv(bus, "r").write({"watcher": b"any"}, Token(epoch=1, nonce="n"))
    bus.close()
    options = ["--region", "r", "--stack", "st", "--against", "bus", "--bus-file", guarded.file("operator")]
    found = report(*options, stack, status=0)
    assert [(c["host"], c["kind"]) for c in found["against"]["changes"]] == [("shop.example.com", "added")]
    assert [f["code"] for f in found["findings"]] == ["network-unreachable"]
    assert "no service of it is on the bus yet" in found["against"]["doubts"][0]


def test_two_formats_are_refused(stack: str) -> None:
    done = lint("--json", "--format", "sarif", stack)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--json and --format sarif are two formats: give one of them" in done.stderr
    assert lint("--json", "--format", "json", stack).stdout == lint("--json", stack).stdout
