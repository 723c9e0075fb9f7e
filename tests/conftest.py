"""Which suites run here, which are left out and why: said at the end of every run, never silently.

A suite is a mark of pyproject.toml. Some need a part that a bare machine lacks: without the part they are skipped, and
where CI is set they fail, because CI leaves nothing out. Others take their time: `make test` deselects them, and each
has a make target of its own; the longest run only when the `-m` expression names them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest
from hypothesis import settings


class Suite(NamedTuple):
    """A mark that may be left out. `missing` says what this machine lacks for it, and the remedy; None: nothing."""

    mark: str
    why: str
    missing: Callable[[], str | None] = lambda: None


def _no_root() -> str | None:
    return None if os.geteuid() == 0 else "needs root; run it as root"


def _no_redis7() -> str | None:
    binary = shutil.which("redis-server")
    if binary is None:
        return "no redis-server here; Debian: apt-get install redis-server"
    says = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"v=(\d+)", says)
    return None if found and int(found[1]) >= 7 else f"redis-server here is older than 7 ({says.strip() or binary})"


def _no_old_nginx() -> str | None:
    from interlock.errors import PartMissing
    from interlock.runtime.parts import NGINX_WHOLE, find_nginx
    from support.nginx_lab import OLD_NGINX

    try:
        found = find_nginx(OLD_NGINX)
    except PartMissing:
        return "no system nginx here; Debian: apt-get install nginx-light"
    return f"{found} is not older than 1.27.4" if found.version >= NGINX_WHOLE else None


def _no_docker_cli() -> str | None:
    return None if shutil.which("docker") else "no docker command here; Debian: apt-get install docker.io"


def _no_swarm() -> str | None:
    from support.swarm.commands import NEEDED

    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [name for name in NEEDED if shutil.which(name, path=path) is None]
    packages = "docker.io iproute2 iptables busybox-static curl"
    return _no_root() or (f"no {', '.join(missing)} here; Debian: apt-get install {packages}" if missing else None)


SUITES = (
    Suite("root", "needs root", _no_root),
    Suite("redis7", "needs redis-server 7", _no_redis7),
    Suite("old_nginx", "needs a system nginx older than 1.27.4", _no_old_nginx),
    Suite("docker_cli", "needs the docker command line", _no_docker_cli),
    Suite("swarm", "needs root and Docker's programs; make swarm", _no_swarm),
    Suite("load", "takes minutes; make load"),
    Suite("chaos", "takes minutes; make chaos"),
    Suite("soak", "takes hours; make soak"),
    Suite("bench", "measures, proves nothing; make bench"),
)
# Left out of a plain `pytest` too: nobody who types that means to wait for hours.
_ONLY_WHEN_NAMED = ("soak", "bench")

# How long an example takes says more of what else this machine does. (In CI, Hypothesis knows that itself.)
settings.register_profile("patient", settings.default, deadline=None)
settings.load_profile("patient")

# For `make mutants`: the same few examples for each mutant (a test of its own may ask for more or fewer).
settings.register_profile("mutants", settings.get_profile("ci"), max_examples=10)

_left_out: Counter[tuple[str, str]] = Counter()
_named: set[str] = set()
_lacking: dict[str, str | None] = {}


def _lacks(suite: Suite) -> str | None:
    if suite.mark not in _lacking:
        _lacking[suite.mark] = suite.missing()
    return _lacking[suite.mark]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Drop the suites that must be asked for."""
    asked = str(config.getoption("markexpr"))
    _named.update(suite.mark for suite in SUITES if suite.mark in asked or suite.mark in _ONLY_WHEN_NAMED)
    dropped = [i for i in items if any(i.get_closest_marker(m) and m not in asked for m in _ONLY_WHEN_NAMED)]
    if dropped:
        items[:] = [i for i in items if i not in set(dropped)]
        config.hook.pytest_deselected(items=dropped)


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Note what was left out by its mark. What another choice left out was left out on purpose."""
    for item in items:
        for suite in SUITES:
            if suite.mark in _named and item.get_closest_marker(suite.mark):
                _left_out[suite.mark, suite.why] += 1
                break


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a part that is not here; in CI, fail."""
    for suite in SUITES:
        reason = _lacks(suite) if item.get_closest_marker(suite.mark) else None
        if reason and os.environ.get("CI"):
            pytest.fail(f"{suite.mark}: {reason} (CI leaves nothing out)", pytrace=False)
        if reason:
            _left_out[suite.mark, reason] += 1
            pytest.skip(f"{suite.mark}: {reason}")


class _Workers:
    """Tells the controller of pytest-xdist what its workers left out; every worker collects, but runs only its part.

    And hands out the files, where nothing was said of their order.
    """

    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: object) -> object:
        if config.getoption("dist") != "loadfile" or not config.getoption("loadscopereorder"):
            return None
        from support.schedule import FilesInOrder

        return FilesInOrder(config, log)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output["left out"] = [(mark, why, count) for (mark, why), count in _left_out.items()]

    def pytest_testnodedown(self, node: object) -> None:
        deselected = {suite.why for suite in SUITES}
        for mark, why, count in getattr(node, "workeroutput", {}).get("left out", ()):
            # All workers deselect the same tests, while each skips only those that it was given.
            known = _left_out[mark, why]
            _left_out[mark, why] = max(known, count) if why in deselected else known + count


def pytest_configure(config: pytest.Config) -> None:
    """Count across workers where the tests run in several."""
    if config.pluginmanager.hasplugin("xdist"):
        config.pluginmanager.register(_Workers())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which suites were left out, how many tests each, and why."""
    if not _left_out:
        return
    terminalreporter.section("left out")
    for (mark, why), count in sorted(_left_out.items()):
        terminalreporter.line(f"{mark:<12}{count:>4} test{'s' if count > 1 else ' '}   {why}")
