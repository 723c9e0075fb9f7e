"""Imports: contracts that can fail, services with only their extra, and the standard library unhidden."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support.house import PACKAGES, ROOT, SOURCE_ROOTS, modules

# Each line breaks one contract; the second part is what the contract's name begins with.
VIOLATIONS = [
    ("interlock_planner/plan.py", "import interlock_watcher", "Services meet"),
    ("interlock_extension/registry.py", "import interlock_simulator", "Services meet"),
    ("interlock/cli.py", "import interlock_planner", "Services meet"),
    ("interlock_demo/load.py", "import interlock_planner.loop", "The demo"),
    ("interlock_lint/app.py", "import interlock_planner.loop", "Lint judges"),
    ("interlock/model/names.py", "import interlock.bus.keys", "Inside interlock"),
    ("interlock/utils.py", '"""A module without a place."""', "Inside interlock"),
    ("interlock/labels/label.py", "import time", "Pure modules"),
    ("interlock_planner/stages/hosts.py", "import interlock.runtime.process", "Pure modules"),
    ("interlock_extension/nginx/render.py", "import subprocess", "Pure modules"),
    ("interlock_planner/loop.py", "import docker", "The Docker API"),
    ("interlock_extension/registry.py", "import redis", "Redis is spoken"),
    ("interlock_extension/probe.py", "import dns", "Docker's DNS"),
    ("interlock_planner/app.py", "import click", "click only"),
    ("interlock_extension/registry.py", "import pytest", "pytest only"),
    ("interlock_extension/nginx/config.py", "import jinja2", "jinja2 only"),
    ("interlock_watcher/docker_source.py", "import aiohttp", "aiohttp only"),
    ("interlock_lint/compose.py", "import yaml", "YAML is read"),
    ("interlock_watcher/translate.py", "import interlock_watcher.view", "The watcher,"),
    ("interlock_planner/plan.py", "import interlock_planner.app", "The planner,"),
    ("interlock_extension/worker.py", "import interlock_extension.nginx", "The extension worker"),
    ("interlock_importer/tree.py", "import interlock_importer.hrm", "The importer,"),
    ("interlock_lint/stack.py", "import interlock_lint.services", "Lint, from"),
    ("interlock_planner/counters.py", "import interlock_planner.loop", "No two modules"),
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of all source roots in one folder, with the contracts."""
    copy = tmp_path_factory.mktemp("house")
    for package in PACKAGES:
        shutil.copytree(package, copy / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".importlinter", copy)
    return copy


def _lint(house: Path) -> subprocess.CompletedProcess[str]:
    # The working directory comes first on the path, so that the copy is read and not the installed packages.
    code = "import sys; sys.path.insert(0, ''); from importlinter.cli import lint_imports_command as lint; lint()"
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=house,
        env=os.environ | {"COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_contracts_are_kept(house: Path) -> None:
    done = _lint(house)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_contract_can_be_broken(house: Path) -> None:
    waiting = list(VIOLATIONS)
    while waiting:
        # A look at all modules takes a second, so many contracts are broken at once, but none twice.
        batch = list({contract: (path, line, contract) for path, line, contract in reversed(waiting)}.values())
        waiting = [violation for violation in waiting if violation not in batch]
        with contextlib.ExitStack() as edits:
            for path, line, _ in batch:
                edits.enter_context(_edited(house / path, line))
            done = _lint(house)
        assert done.returncode == 1, done.stdout + done.stderr
        explained = re.split(r"\n(?=[^\n]+\n-{9,}\n)", done.stdout.partition("\nBroken contracts\n")[2])
        for path, line, contract in batch:
            module = path.removesuffix(".py").replace("/", ".")
            why = "".join(text for text in explained if text.startswith(contract))
            # A cycle is told by the last parts of the names.
            named = module in why or f" .{module.rpartition('.')[2]} " in why
            assert named, f"`{line}` in {path} does not break the contract {contract}:\n{done.stdout}"


def test_every_contract_has_a_violation_here() -> None:
    names = re.findall(r"^name = (.*)$", (ROOT / ".importlinter").read_text(encoding="utf-8"), re.MULTILINE)
    begins = {contract for _, _, contract in VIOLATIONS}
    assert [name for name in names if not any(name.startswith(b) for b in begins)] == []


@contextlib.contextmanager
def _edited(path: Path, line: str) -> Iterator[None]:
    before = path.read_text(encoding="utf-8") if path.exists() else None
    path.write_text(f"{before or ''}\n{line}\n", encoding="utf-8")
    try:
        yield
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before, encoding="utf-8")


TESTING = "interlock_extension.testing"
"""Shipped, but no part of the service: it needs pytest."""

INSTALLED = packages_distributions()
BLOCK = """
import importlib.abc, sys
class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"{name} is not in the extra that this service is installed with", name=name)
sys.meta_path.insert(0, Block())
import importlib, importlib.metadata
asked = importlib.metadata.distribution
def distribution(name):
    if name in absent:
        raise importlib.metadata.PackageNotFoundError(name)
    return asked(name)
# A library may look for an optional one without importing it.
importlib.metadata.distribution = distribution
for module in wanted:
    importlib.import_module(module)
"""


def _needs(name: str, extras: Iterable[str]) -> Iterator[Requirement]:
    if name == "interlock":
        # From its source: what an editable install says of itself is as old as the install.
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        optional = (text for extra in extras for text in project["optional-dependencies"].get(extra, ()))
        yield from map(Requirement, (*project["dependencies"], *optional))
        return
    for need in map(Requirement, requires(name) or ()):
        if not need.marker or any(need.marker.evaluate({"extra": extra}) for extra in (*extras, "")):
            yield need


def _closure(extra: str) -> set[str]:
    """The distributions that `pip install interlock[extra]` brings."""
    found: set[tuple[str, frozenset[str]]] = set()
    todo = [("interlock", frozenset({extra}))]
    while todo:
        name, extras = todo.pop()
        if (name, extras) not in found:
            found.add((name, extras))
            todo += [(str(canonicalize_name(need.name)), frozenset(need.extras)) for need in _needs(name, extras)]
    return {name for name, _ in found}


@pytest.mark.parametrize("package", [p for p in PACKAGES if p.name != "interlock"], ids=lambda p: p.name)
def test_a_service_imports_with_only_its_extra(package: Path) -> None:
    _import_with_only(
        package.name.removeprefix("interlock_"), (m.name for m in modules(package) if TESTING not in m.name)
    )


def test_the_suite_for_extensions_imports_with_only_its_extra() -> None:
    [package] = [p for p in PACKAGES if p.name == "interlock_extension"]
    found = [m.name for m in modules(package) if TESTING in m.name]
    assert found
    _import_with_only("testing", found, "extension")


def _import_with_only(extra: str, wanted: Iterable[str], *more: str) -> None:
    allowed = _closure(extra).union(*map(_closure, more))
    ours = {p.name for p in PACKAGES}
    blocked = {
        top
        for top, owners in INSTALLED.items()
        if top not in ours and not any(canonicalize_name(owner) in allowed for owner in owners)
    }
    assert "mypy" in blocked, "the test would block nothing"
    assert ("pytest" in blocked) == (extra != "testing")
    absent = {owner for owners in INSTALLED.values() for owner in owners if canonicalize_name(owner) not in allowed}
    code = f"blocked = {blocked!r}\nabsent = {absent!r}\nwanted = {[*wanted]!r}\n{BLOCK}"
    env = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, SOURCE_ROOTS))}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_extras_hold_the_least_privilege() -> None:
    assert "docker" not in _closure("planner")
    assert "jinja2" not in _closure("watcher")
    assert "docker" not in _closure("extension")


def test_the_standard_librarys_secrets_wins_over_our_service_folders() -> None:
    roots = [str(ROOT / "services"), *map(str, SOURCE_ROOTS)]
    code = f"import sys; sys.path[:0] = {roots!r}; import secrets, redis; print(secrets.__file__); secrets.token_hex()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not Path(done.stdout.strip()).is_relative_to(ROOT)


def test_no_source_root_is_a_package() -> None:
    roots = [ROOT, ROOT / "services", *SOURCE_ROOTS]
    assert [str(r.relative_to(ROOT)) for r in roots if (r / "__init__.py").exists()] == []


def _encoders() -> Iterator[str]:
    for package in PACKAGES:
        for module in modules(package):
            if re.search(r"msgspec\.msgpack|\bimport msgpack\b|\bfrom msgpack\b", module.text):
                yield module.name


def test_only_the_codec_encodes_for_the_bus() -> None:
    assert list(_encoders()) == ["interlock.wire.codec"]
