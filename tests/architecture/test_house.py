"""Rules of the house that no tool knows: documented modules, bounded sizes, true documents, pins that agree."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import interlock
from interlock.config import reference
from support.doc_blocks import files_in
from support.house import PACKAGES, ROOT, SOURCE_ROOTS, modules

MODULES = [module for package in PACKAGES for module in modules(package)]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "services").rglob("README.md")])
LONGEST_MODULE = 400
LONGEST_FUNCTION = 70

# Only a checkout's own files: what tools leave behind is not ours to judge.
FOLDERS = ("services", "shared", "deploy", "docs", "tests", ".ci")
GENERATED = {"__pycache__", ".pytest_cache", ".hypothesis"}


def _files() -> Iterator[Path]:
    # In a git worktree, `.git` is a file that says where the repository is.
    yield from (p for p in ROOT.iterdir() if p.is_file() and p.name != ".git")
    for folder in FOLDERS:
        yield from (p for p in (ROOT / folder).rglob("*") if p.is_file() and not GENERATED & set(p.parts))


def _texts() -> Iterator[tuple[str, str]]:
    for path in sorted(_files()):
        try:
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def test_every_module_says_what_it_is() -> None:
    assert [m.name for m in MODULES if not ast.get_docstring(ast.parse(m.text))] == []


def test_modules_and_functions_stay_readable() -> None:
    assert [m.name for m in MODULES if len(m.text.splitlines()) > LONGEST_MODULE] == []
    functions = (
        (f"{module.name}.{node.name}", (node.end_lineno or node.lineno) - node.lineno + 1)
        for module in MODULES
        for node in ast.walk(ast.parse(module.text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    assert [name for name, length in functions if length > LONGEST_FUNCTION] == []


def test_no_file_names_a_machine_or_an_index() -> None:
    # Brackets keep the patterns from finding themselves.
    machine = re.compile(
        r"(?<![\w.~-])/(?:[w]ork|[h]ome|[U]sers|[r]oot|opt/(?:wheels|pypi))/\w"
        r"|pypi[.]org|[p]ythonhosted|--(?:extra-)?[i]ndex-url|[f]ind-links"
    )
    found = [f"{name}: {hit[0]}" for name, text in _texts() for hit in machine.finditer(text)]
    assert found == []


def _mentions(pattern: str) -> Iterator[tuple[Path, str]]:
    for document in DOCUMENTS:
        for name in sorted(set(re.findall(pattern, document.read_text(encoding="utf-8")))):
            yield document, name


def test_documents_name_only_files_that_exist() -> None:
    known = [f"/{p.relative_to(ROOT).as_posix()}" for p in _files()]
    files = _mentions(r"(?<![\w./<*-])((?:[\w.-]+/)*[\w-]+\.(?:py|lua|j2))\b")
    # Some bring files themselves.
    brought = {d: [f"/{name}" for name in files_in(d.read_text(encoding="utf-8"))] for d in DOCUMENTS}
    wrong = [
        (str(d.relative_to(ROOT)), name)
        for d, name in files
        if not any(k.endswith(f"/{name}") for k in (*known, *brought[d]))
    ]
    assert wrong == []


def test_links_between_documents_lead_somewhere() -> None:
    links = ((d, target) for d, target in _mentions(r"\]\(([^)#\s]+)[^)]*\)") if "://" not in target)
    assert [(str(d.relative_to(ROOT)), target) for d, target in links if not (d.parent / target).exists()] == []


def test_the_changelog_has_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## .*\b{re.escape(interlock.__version__)}\b", text, re.MULTILINE)


def test_every_package_is_shipped_and_typed() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    linter = (ROOT / ".importlinter").read_text(encoding="utf-8")
    for package in PACKAGES:
        assert f'"{package.relative_to(ROOT).as_posix()}"' in text
        assert re.search(rf"^packages = .*\"{package.name}\"", text, re.MULTILINE), package.name
        assert f"\n    {package.name}\n" in linter
    assert len(PACKAGES) == len(SOURCE_ROOTS)


def _pins(name: str) -> dict[str, list[str]]:
    """Pin -> its hashes. Markers are left out: they say for whom the list is, and differ between lists."""
    entries = re.split(r"\n(?=\S)", (ROOT / name).read_text(encoding="utf-8").strip())
    return {entry.split()[0]: re.findall(r"--hash=(sha256:[0-9a-f]{64})\b", entry) for entry in entries}


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-demo.txt"])
def test_pins_have_hashes_and_name_no_place(name: str) -> None:
    assert [pin for pin, hashes in _pins(name).items() if not hashes or not re.fullmatch(r"[\w.-]+==[\w.]+", pin)] == []
    assert "://" not in (ROOT / name).read_text(encoding="utf-8")


def test_users_and_developers_run_the_same() -> None:
    developers, users = _pins("constraints.txt"), _pins("constraints-demo.txt")
    assert [pin for pin, hashes in users.items() if developers.get(pin) != hashes] == []
    assert len(users) < len(developers)


def test_generated_documents_are_fresh() -> None:
    text = (ROOT / "docs" / "config.md").read_text(encoding="utf-8")
    assert text == reference.markdown(), "docs/config.md is stale: make docs"
