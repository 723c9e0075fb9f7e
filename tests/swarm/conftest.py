"""One real Swarm for the module; Interlock anew for each test."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.swarm import images
from support.swarm.lab import Swarm
from support.swarm.product import Product


@pytest.fixture(scope="module")
def swarm() -> Iterator[Swarm]:
    # Not tmp_path: a unix socket's path may have 107 bytes.
    with Swarm(Path(tempfile.mkdtemp(prefix="il-sw-")), nodes=2) as lab:
        images.make(lab)
        yield lab


@pytest.fixture
def product(swarm: Swarm, tmp_path: Path) -> Iterator[Product]:
    with Product(swarm, tmp_path) as running:
        yield running
