"""`interlock acl`: what it prints, what it writes down, and what it does not tell."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from interlock.bus import acl
from interlock.bus.cli import main
from interlock.errors import ConfigError


def run(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(main, arguments, input=stdin)


def hashes(text: str) -> dict[str, str]:
    words = [line.split() for line in text.splitlines()]
    return {w[1]: next(word for word in w if word.startswith("#"))[1:] for w in words if w[1] != "default"}


def test_each_user_gets_a_url_that_only_its_owner_reads_and_keeps_it(tmp_path: Path) -> None:
    urls = tmp_path / "urls"
    first = run("--urls", str(urls))
    assert first.stdout.startswith("user default off ")
    assert {p.name for p in urls.iterdir()} == {"watcher.url", "planner.url", "proxy.url", "operator.url"}
    assert {p.stat().st_mode & 0o777 for p in urls.iterdir()} == {0o600}
    made = {p.stem: p.read_text().strip() for p in urls.iterdir()}
    assert len({acl.password_of(url) for url in made.values()}) == 4
    for name, url in made.items():
        password = acl.password_of(url)
        assert len(password) >= 40
        assert url == f"redis://{name}:{password}@bus:6379/0"
        assert hashes(first.stdout)[name] == hashlib.sha256(password.encode()).hexdigest()
        assert password not in first.output
    # A cluster more, another server: nobody's password changes.
    second = run("--urls", str(urls), "--cluster", "", "--cluster", "east", "--server", "rediss://other:1/2?a=b")
    assert {name: hashes(second.stdout)[name] for name in made} == hashes(first.stdout)
    assert (urls / "watcher.url").read_text().endswith("@other:1/2?a=b\n")
    assert acl.password_of((urls / "proxy-east.url").read_text())


def test_passwords_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "planner.password").write_text("p l\n".replace(" ", "/@:"))
    from_folder = run("--passwords", str(tmp_path), "--urls", str(tmp_path / "urls"))
    assert hashes(from_folder.stdout)["planner"] == hashlib.sha256(b"p/@:l").hexdigest()
    assert acl.password_of((tmp_path / "urls" / "planner.url").read_text().strip()) == "p/@:l"
    lines = "".join(f"{name} {name}-secret\n" for name in ("watcher", "planner", "proxy", "operator"))
    from_stdin = run("--passwords", "-", stdin=lines)
    assert hashes(from_stdin.stdout)["proxy"] == hashlib.sha256(b"proxy-secret").hexdigest()
    assert "-secret" not in from_stdin.output


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        ((), "", "the passwords of watcher, planner, proxy, operator would be known to nobody"),
        (("--passwords", "-"), "hunter2 watcher\n", "a line is of none of the users"),
        (("--passwords", "-"), "watcher\n", "the password of watcher is empty"),
        (("--passwords", "nowhere"), "", "no such folder"),
        (("--region", "", "--urls", "x"), "", "--region is empty"),
        (("--pool", "", "--urls", "x"), "", "--pool is empty"),
        (("--pool", "*", "--urls", "x"), "", "no label can name"),
        (("--server", "redis://a:hunter2@bus", "--urls", "x"), "", "without a user"),
        (("--server", "http://bus", "--urls", "x"), "", "without a user"),
    ],
)
def test_what_cannot_be_used_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], stdin: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = run(*arguments, stdin=stdin)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert said in refused.stderr
    assert "hunter2" not in refused.output
    assert list(tmp_path.iterdir()) == []


def test_a_clusters_name_is_never_a_pattern() -> None:
    _, _, proxy, _ = acl.users("default", ["*"])
    assert proxy.name == "proxy-%2A"
    assert not any("*" in rule for rule in proxy.rules)


def test_a_pool_has_a_user_and_its_name_is_never_a_pattern(tmp_path: Path) -> None:
    run("--pool", "f5", "--urls", str(tmp_path))
    assert acl.password_of((tmp_path / "pool-f5.url").read_text().strip())
    *_, pool, _ = acl.users("default", [], ["*"])
    assert pool.name == "pool-%2A"
    assert not any(rule.endswith(("lease:*", "pool:*")) for rule in pool.rules)


def test_a_password_survives_its_url() -> None:
    password = "p:a/s@s?w#o%r"
    assert acl.password_of(acl.user_url("unix:///run/bus.sock", "a b", password)) == password
    with pytest.raises(ConfigError):
        acl.user_url("redis://x@bus", "a", "b")
