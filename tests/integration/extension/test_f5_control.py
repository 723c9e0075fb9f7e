"""A tenant under a fence, on a server that takes declarations as AS3 does: write, prove, stand back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from interlock.errors import ConfigRejected, ProxyUnavailable
from interlock.model.version import Token
from interlock_extension.port import Change, HostView, Settings
from interlock_f5 import extension
from interlock_f5.control import F5Control
from interlock_f5.render import F5Renderer
from support.as3_server import As3Server, decide
from support.nginx_lab import endpoint, upstream, virtual_host
from support.planner_lab import eventually

TENANT = "shop"


class Right:
    """The right to write, as a test gives and takes it."""

    def __init__(self, epoch: int, left: float = 1.5) -> None:
        self.epoch, self.left = epoch, left
        self.seen: list[int] = []

    def token(self, margin: float) -> Token | None:
        return Token(epoch=self.epoch, nonce=f"n{self.epoch}") if margin < self.left else None

    def outbid(self, seen: int) -> None:
        self.seen.append(seen)


@pytest.fixture
def device() -> Iterator[As3Server]:
    server = As3Server()
    yield server
    server.close()


class Lab:
    def __init__(self, device: As3Server, folder: Path) -> None:
        self.device, self.folder = device, folder
        (folder / "token").write_text("t0ken\n")
        (folder / "password").write_text("secret\n")

    def open(self, right: Right, **options: object) -> tuple[F5Renderer, F5Control]:
        given = {"URL": self.device.url, "VirtualAddresses": ["192.0.2.10"], "Tenant": TENANT, "LookEvery": 0.2}
        if "User" not in options:
            given["TokenFile"] = str(self.folder / "token")
        settings = Settings(folder=self.folder, listen=("80",), options=given | options, cluster="eu/shop", fence=right)
        return extension.open(settings)

    def taken(self, right: Right, **options: object) -> tuple[F5Renderer, F5Control]:
        renderer, control = self.open(right, **options)
        assert control.start({}) == "adopted"
        return renderer, control

    @property
    def tenant(self) -> dict:
        return self.device.tenants[TENANT]

    @property
    def epochs(self) -> list[int]:
        return [write.epoch for write in self.device.writes]


@pytest.fixture
def lab(device: As3Server, tmp_path: Path) -> Lab:
    return Lab(device, tmp_path)


def shop(port: int = 8000, host: str = "shop.org") -> HostView:
    return HostView(host=virtual_host(host, "/"), upstreams=(upstream(host, (endpoint(port, "t"),)),))


def files(renderer: F5Renderer, *views: HostView) -> dict[str, bytes | None]:
    return {
        **renderer.shared(1, 1, default=False),
        **{renderer.file_of(v.host.host): renderer.host(v) for v in views},
    }


def test_a_change_is_in_effect_when_the_device_says_so(lab: Lab) -> None:
    lab.device.slow = 0.3
    renderer, control = lab.taken(Right(5))
    proof = control.apply_delta(Change(files=files(renderer, shop())), "g 1 n")
    assert proof.effective_at - proof.applying_at >= 0.3
    assert decide(lab.tenant, "shop.org", "/") == {"127.0.0.1:8000"}
    assert lab.tenant["constants"]["interlockVersion"] == "g 1 n"
    control.apply_delta(Change(files={renderer.file_of("shop.org"): None}), "g 2 n")
    assert decide(lab.tenant, "shop.org", "/") is None
    assert lab.epochs == [5, 5, 5]
    assert control.tend() == {"device_writes": 3.0, "device_refusals": 0.0, "device_epoch": 5.0}


def test_who_takes_over_knows_what_is_there_and_shuts_the_former_owner_out(lab: Lab) -> None:
    former = Right(5)
    renderer, old = lab.taken(former)
    old.apply_snapshot(files(renderer, shop(8000)), "g 1 n")
    _, new = lab.taken(Right(9))
    assert new.installed() == files(renderer, shop(8000))
    assert decide(lab.tenant, "shop.org", "/") == {"127.0.0.1:8000"}, "taking over changes nothing that is served"
    # The former owner believes that it still is one: its clock, or its process, was held up.
    for _ in range(2):
        with pytest.raises(ProxyUnavailable, match=r"somebody else has written|newer fence, 9; ours is 5"):
            old.apply_delta(Change(files=files(renderer, shop(9999))), "g 2 n")
    assert former.seen == [9]
    assert lab.epochs == [5, 5, 9]
    new.apply_delta(Change(files=files(renderer, shop(8001))), "g 3 n")
    assert decide(lab.tenant, "shop.org", "/") == {"127.0.0.1:8001"}


def test_a_write_that_comes_late_is_refused_by_the_device_itself(lab: Lab) -> None:
    """Held up between the last look at the lease and the sending: nothing of the worker can help any more."""
    late = Right(5)
    renderer, old = lab.taken(late)
    looks: list[float] = []
    token = late.token

    def held_up(margin: float) -> Token | None:
        looks.append(margin)
        if len(looks) == 2:
            lab.taken(Right(9))
        return token(margin)

    late.token = held_up  # type: ignore[method-assign]
    with pytest.raises(ProxyUnavailable, match="somebody else has written"):
        old.apply_delta(Change(files=files(renderer, shop())), "g 2 n")
    assert len(looks) >= 2, "it does not look right before it sends"
    assert lab.epochs == [5, 9]


@pytest.mark.parametrize("left", [0.0, 0.85])
def test_nothing_is_sent_on_a_lease_that_may_end_meanwhile(lab: Lab, left: float) -> None:
    right = Right(5)
    renderer, control = lab.taken(right)
    right.left = left
    with pytest.raises(ProxyUnavailable, match="lease is not held for long enough"):
        control.apply_delta(Change(files=files(renderer, shop())), "g 2 n")
    assert lab.epochs == [5]


def test_the_lease_ends_while_the_device_works(lab: Lab) -> None:
    right = Right(5)
    renderer, control = lab.taken(right)
    lab.device.slow = 0.5
    original = right.token
    calls = iter(range(100))
    right.token = lambda margin: original(margin) if next(calls) < 3 else None  # type: ignore[method-assign]
    with pytest.raises(ProxyUnavailable, match="the lease has ended while the device was at work"):
        control.apply_delta(Change(files=files(renderer, shop())), "g 2 n")


def test_another_nonce_of_the_same_epoch_is_another_owner(lab: Lab) -> None:
    renderer, _ = lab.taken(Right(5))
    twin = Right(5)
    twin.token = lambda _: Token(epoch=5, nonce="other")  # type: ignore[method-assign,assignment]
    _, control = lab.open(twin)
    control.start({})
    with pytest.raises(ProxyUnavailable, match="newer fence"):
        control.apply_delta(Change(files=files(renderer, shop())), "g 2 n")
    assert twin.seen == [5]


def test_what_a_device_refuses_names_the_host_that_is_at_fault(lab: Lab) -> None:
    renderer, control = lab.taken(Right(5))
    good, bad = shop(), shop(host="bad.org")
    wrong = msgspec.json.decode(renderer.host(bad))
    [pool] = wrong["pools"].values()
    pool["members"][0]["servicePort"] = 70_000
    taken = files(renderer, good) | {renderer.file_of("bad.org"): msgspec.json.encode(wrong)}
    with pytest.raises(ConfigRejected, match="70000 is greater than") as refused:
        control.apply_delta(Change(files=taken), "g 1 n")
    assert refused.value.culprit == renderer.file_of("bad.org")
    assert lab.epochs == [5]
    # Aside, by a dry run: nothing is written.
    control.check({"shop.org": renderer.host(good)})
    with pytest.raises(ConfigRejected):
        control.check({"bad.org": msgspec.json.encode(wrong)})
    assert lab.device.dry_runs == 1
    control.apply_delta(Change(files=files(renderer, good)), "g 2 n")
    assert lab.epochs == [5, 5]


def test_a_busy_device_and_a_lost_answer_are_no_refusals(lab: Lab) -> None:
    renderer, control = lab.taken(Right(5))
    lab.device.busy = 1
    with pytest.raises(ProxyUnavailable, match="503 Configuration operation in progress"):
        control.apply_delta(Change(files=files(renderer, shop())), "g 1 n")
    lab.device.lose = 1
    with pytest.raises(ProxyUnavailable):
        control.apply_delta(Change(files=files(renderer, shop())), "g 1 n")
    # It may have worked, and it has: what the device has is read before the next write.
    eventually(lambda: decide(lab.tenant, "shop.org", "/") == {"127.0.0.1:8000"}, 5, "the device took it all the same")
    control.apply_snapshot(files(renderer, shop(8001)), "g 2 n")
    assert decide(lab.tenant, "shop.org", "/") == {"127.0.0.1:8001"}


def test_a_write_that_is_still_at_work_is_not_overtaken(lab: Lab) -> None:
    """Its answer was lost, and the device comes to it later: what was made without knowing of it is refused."""
    renderer, control = lab.taken(Right(5))
    lab.device.slow, lab.device.lose = 0.3, 1
    with pytest.raises(ProxyUnavailable):
        control.apply_delta(Change(files=files(renderer, shop(8000))), "g 1 n")
    with pytest.raises(ProxyUnavailable, match="somebody else has written"):
        control.apply_snapshot(files(renderer, shop(8001)), "g 2 n")
    control.apply_snapshot(files(renderer, shop(8001)), "g 2 n")
    assert decide(lab.tenant, "shop.org", "/") == {"127.0.0.1:8001"}


def test_work_of_somebody_else_is_noticed_and_replaced(lab: Lab) -> None:
    renderer, control = lab.taken(Right(5), LookEvery=0.2)
    control.apply_delta(Change(files=files(renderer, shop())), "g 1 n")
    until_looked = [control.probe() for _ in range(3)]
    assert False not in until_looked
    lab.device.tenants[TENANT] = {"class": "Tenant", "mine": {"class": "Application"}}
    seen = None
    while seen is None:
        seen = control.probe()
    assert seen is False
    control.apply_snapshot(files(renderer, shop()), "g 1 n")
    assert "mine" not in lab.tenant
    assert decide(lab.tenant, "shop.org", "/") == {"127.0.0.1:8000"}


OTHERS = b'{"results":[{"code":200,"message":"success","tenant":"other"}]}'
NO_YES = {
    b"{}": "without a word",
    b'{"results":null,"declaration":null}': "without a word",
    b'{"results":[]}': "without a word",
    OTHERS: "of other, 200: success",
    b'{"results":[{"code":0,"message":"declaration is invalid","tenant":"x"}]}': "declaration is invalid",
    b'{"results":[{"code":0,"message":"declaration is invalid","tenant":"shop"}]}': "declaration is invalid",
    b'{"results":[{"code":202,"message":"accepted","tenant":"shop"}]}': "accepted",
    b'{"results":[{"message":"success","tenant":"shop"}]}': "success",
    b'{"results":[{"code":200,"message":"success"}]}': "success",
}


@pytest.mark.parametrize(("answer", "words"), NO_YES.items())
def test_what_is_no_word_of_success_for_this_tenant_is_no_success(lab: Lab, answer: bytes, words: str) -> None:
    renderer, control = lab.taken(Right(5))
    control.apply_delta(Change(files=files(renderer, shop(8000))), "g 1 n")
    lab.device.odd["POST"] += [(200, answer)] * 2
    for _ in range(2):
        with pytest.raises(ProxyUnavailable) as unproven:
            control.apply_delta(Change(files=files(renderer, shop(8001))), "g 2 n")
        said = str(unproven.value)
        assert said.startswith(f"{lab.device.url}: tenant {TENANT}: the device does not say that it took it: ")
        assert words in said
    assert decide(lab.tenant, "shop.org", "/") == {"127.0.0.1:8000"}
    assert control.installed() == files(renderer, shop(8000))
    control.apply_delta(Change(files=files(renderer, shop(8001))), "g 2 n")
    assert decide(lab.tenant, "shop.org", "/") == {"127.0.0.1:8001"}


def test_a_dry_run_is_no_success_either_without_a_word_for_this_tenant(lab: Lab) -> None:
    renderer, control = lab.taken(Right(5))
    lab.device.odd["POST"].append((200, OTHERS))
    with pytest.raises(ProxyUnavailable, match="does not say"):
        control.check({"shop.org": renderer.host(shop())})


def test_without_a_word_of_success_the_device_is_asked_and_that_it_has_it_is_proof(lab: Lab) -> None:
    """It did it, and answers as if it had not: what it has counts."""
    renderer, control = lab.taken(Right(5))
    submit = lab.device.submit

    def without_a_word(*args: object, **more: object) -> tuple[int, dict]:
        submit(args[0], later=False, keys=True)  # type: ignore[arg-type]
        return 200, {}

    lab.device.submit = without_a_word  # type: ignore[method-assign]
    control.apply_delta(Change(files=files(renderer, shop())), "g 1 n")
    assert control.installed() == files(renderer, shop())
    assert decide(lab.tenant, "shop.org", "/") == {"127.0.0.1:8000"}


def test_no_change_is_a_success_and_is_read_back_where_it_comes_without_a_key(lab: Lab) -> None:
    renderer, control = lab.taken(Right(5))
    yes = b'{"results":[{"code":200,"message":"no change","tenant":"shop"}]}'
    control.apply_snapshot(files(renderer, shop(8000)), "g 1 n")
    lab.device.odd["POST"] += [(200, yes)] * 2
    control.apply_snapshot(files(renderer, shop(8000)), "g 1 n")
    with pytest.raises(ProxyUnavailable, match="says that it took it, and has something else"):
        control.apply_snapshot(files(renderer, shop(8001)), "g 2 n")


def test_the_next_look_compares_with_what_was_proven_and_not_with_the_last_look(lab: Lab) -> None:
    renderer, control = lab.taken(Right(5), LookEvery=0.2)
    control.apply_snapshot(files(renderer, shop(8000)), "g 1 n")
    lab.device.odd["POST"].append((200, b"{}"))
    lab.device.tenants[TENANT]["ingress"]["routes"]["rules"].pop(0)
    # What is there is read for its proof, and becomes what the next write is made from.
    with pytest.raises(ProxyUnavailable, match="somebody else has written"):
        control.apply_snapshot(files(renderer, shop(8001)), "g 2 n")
    seen = None
    while seen is None:
        seen = control.probe()
    assert seen is False


DEEP = b"[" * 100_000 + b"]" * 100_000
ODD = [
    (500, b'{"code":500,"message":"x","errors":null}'),
    (401, b'{"code":401,"message":"x","errors":null}'),
    (422, b'{"errors":5}'),
    (422, b'{"results":[{"code":"422","tenant":"shop"}]}'),
    (200, b"[]"),
    (200, b'{"results":{"code":200}}'),
    (200, b'{"results":[200]}'),
    (200, b"<html>login</html>"),
    (200, b"\xff\xfe"),
    (200, b'{"results":[{"tenant":"shop","code":' + b"9" * 5000 + b"}]}"),
    (200, b'{"shop":[]}'),
    (200, b"null"),
    (201, b"{}"),
    (202, b"{}"),
    (202, b'{"id":7}'),
    (202, b'{"id":"no/such\\u00e4\\n task"}'),
    (302, b""),
    (500, DEEP),
    (200, b'{"results":[{"code":0,"message":"in progress"}]}'),
]


@pytest.mark.parametrize("what", ["GET", "POST"])
@pytest.mark.parametrize("odd", ODD, ids=lambda odd: f"{odd[0]} {odd[1][:30]!r}")
def test_whatever_the_device_answers_is_told_and_tried_again(lab: Lab, odd: tuple[int, bytes], what: str) -> None:
    renderer, control = lab.taken(Right(5), LookEvery=0.2)
    control.apply_snapshot(files(renderer, shop(8000)), "g 1 n")
    lab.device.odd[what].append(odd)
    if what == "POST":
        with pytest.raises(ProxyUnavailable, match=f"{lab.device.url}: "):
            control.apply_snapshot(files(renderer, shop(8001)), "g 2 n")
    else:
        # Of the task: what it has become may show in the tenant all the same.
        if applied(control, files(renderer, shop(8001))):
            assert decide(lab.tenant, "shop.org", "/") == {"127.0.0.1:8001"}
        lab.device.odd[what].append(odd)
        with pytest.raises(ProxyUnavailable, match=f"{lab.device.url}: "):
            lab.taken(Right(5))
    eventually(lambda: applied(control, files(renderer, shop(8001))), 5, "it is tried again, and taken")
    assert decide(lab.tenant, "shop.org", "/") == {"127.0.0.1:8001"}


def applied(control: F5Control, wanted: dict[str, bytes | None]) -> bool:
    try:
        control.apply_snapshot(wanted, "g 2 n")
    except ProxyUnavailable:
        return False
    return True


@pytest.mark.parametrize("epoch", [10**400, -(10**400), True, "9", [9], 1.5, None])
def test_constants_of_another_making_are_replaced(lab: Lab, epoch: object) -> None:
    renderer, control = lab.taken(Right(5), LookEvery=0.2)
    control.apply_snapshot(files(renderer, shop()), "g 1 n")
    odd = {"class": "Constants", "interlockEpoch": epoch, "interlockNonce": {"a": 1}}
    lab.device.tenants[TENANT]["constants"] = odd
    seen = None
    while seen is None:
        seen = control.probe()
        control.tend()
    assert seen is False
    control.apply_snapshot(files(renderer, shop()), "g 1 n")
    assert lab.tenant["constants"]["interlockEpoch"] == 5
    lab.tenant["constants"] = odd
    host = next(app for app in lab.tenant if app.startswith("h_"))
    lab.tenant[host]["constants"]["ignored"] = 5
    _, next_one = lab.taken(Right(6))
    assert next_one.installed() == files(renderer, shop())


def test_rights_by_password_and_no_secret_in_any_message(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    password = lab.folder / "password"
    lab.taken(Right(5), User="admin", PasswordFile=str(password))
    password.write_text("another-secret\n")
    said = []
    for content in ("another-secret\n", "two\nlines-secret", ""):
        password.write_text(content)
        _, control = lab.open(Right(6), User="admin", PasswordFile=str(password))
        with pytest.raises(ProxyUnavailable) as refused:
            control.start({})
        said.append(str(refused.value))
    password.unlink()
    with pytest.raises(ProxyUnavailable, match="cannot be read: FileNotFoundError"):
        control.start({})
    assert "401 Authentication failed" in said[0]
    output = capfd.readouterr()
    assert "secret" not in " ".join(said) + output.out + output.err


def test_a_device_that_is_away_is_told_by_its_name(lab: Lab) -> None:
    _, control = lab.open(Right(5))
    lab.device.close()
    with pytest.raises(ProxyUnavailable, match=r"http://127\.0\.0\.1:\d+: GET .*declare/shop: "):
        control.start({})
    assert not control.alive()
