"""The walk in deploy/README.md, run literally: each block marked `sh`, in order, in one shell on a manager."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.house import ROOT
from support.swarm.commands import ENVIRONMENT
from support.swarm.images import PRODUCT, Images
from support.swarm.lab import Swarm

pytestmark = [pytest.mark.swarm, pytest.mark.timeout(900)]
_BLOCK = re.compile(r"^```sh *([\w-]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EACH_BLOCK = 240
OTHERS = "every-other-node"


def blocks() -> list[tuple[str, str]]:
    """Where each block is for, and its commands."""
    return _BLOCK.findall((ROOT / "deploy" / "README.md").read_text())


@pytest.fixture
def swarm(store: Images) -> Iterator[Swarm]:
    # The base image is there, which a machine with a registry would fetch; and, under no name that the walk knows, what
    # was built of the same files before, so that its own builds find their layers.
    with Swarm(Path(tempfile.mkdtemp(prefix="il-sw-")), images=store.product(), nodes=3) as lab:
        for node in lab.nodes.values():
            for number, tag in enumerate(PRODUCT):
                node.docker("tag", tag, f"layers/{number}")
                node.docker("rmi", tag)
        yield lab


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout without what this one has made, but with its environment, so that it is not installed once more."""
    folder = tmp_path / "interlock"
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\n")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


class Shell:
    """One shell on a node: variables of one block are there in the next, as for who types them."""

    def __init__(self, words: list[str], folder: Path) -> None:
        self._process = subprocess.Popen(
            [*words, "bash", "-c", f"cd {folder} && exec bash -e -o pipefail"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT,
        )  # fmt: skip

    def run(self, commands: str) -> str:
        """What they printed. Raises AssertionError where one failed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{commands}\necho ---done---\n")
        self._process.stdin.flush()
        said = []
        for line in self._process.stdout:
            if line.strip() == "---done---":
                return "".join(said)
            said.append(line)
        raise AssertionError(f"it failed:\n{commands}\n{''.join(said)[-4000:]}")

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


def test_the_walk(swarm: Swarm, checkout: Path) -> None:
    walk = blocks()
    assert len(walk) > 12
    assert {place for place, _ in walk} == {"", OTHERS}
    shell = Shell(swarm.nodes[1].inside(), checkout)
    said = ""
    try:
        for place, commands in walk:
            print(f"$ {commands}", flush=True)
            if place == OTHERS:
                for number in (2, 3):
                    other = Shell(swarm.nodes[number].inside(), checkout)
                    other.run(commands)
                    other.close()
            else:
                # The wheelhouse needs a package index, and a node of the lab has no network but the Swarm's.
                index = commands.startswith("make wheelhouse\n")
                if index:
                    subprocess.run(["make", "-s", "wheelhouse"], cwd=checkout, check=True, env=ENVIRONMENT)
                said = shell.run(commands.removeprefix("make wheelhouse\n") if index else commands)
                print(said, flush=True)
    finally:
        shell.close()
    # The last block shows the installation to its operator.
    assert "interlock_proxy-internal.node3" in said
    assert "0 errors" in said
