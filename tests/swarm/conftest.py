"""Real Swarms: images made once, a Swarm for each module, Interlock anew for each test."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.swarm.images import Images
from support.swarm.lab import Swarm
from support.swarm.product import Product


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Images:
    # SWARM_IMAGES: a folder that keeps them between runs, for who works on the tests and not on the product.
    kept = os.environ.get("SWARM_IMAGES")
    # Where several workers share the tests, they share the images: all have their folders in one.
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if os.environ.get("PYTEST_XDIST_WORKER") else shared
    return Images(Path(kept) if kept else shared / "images")


@pytest.fixture(scope="module")
def swarm(store: Images) -> Iterator[Swarm]:
    # Not tmp_path: a unix socket's path may have 107 bytes.
    with Swarm(Path(tempfile.mkdtemp(prefix="il-sw-")), images=store.basic(), nodes=2) as lab:
        yield lab


@pytest.fixture
def product(swarm: Swarm, tmp_path: Path) -> Iterator[Product]:
    with Product(swarm, tmp_path) as running:
        yield running


_LONGEST = ("nodes", "managers", "acceptance", "load")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest modules first: several run at once, and none is to be left alone at the end."""
    here = Path(__file__).parent

    def rank(item: pytest.Item) -> int:
        name = item.path.stem.removeprefix("test_").removesuffix("_on_swarm")
        return _LONGEST.index(name) if item.path.parent == here and name in _LONGEST else len(_LONGEST)

    items.sort(key=rank)
