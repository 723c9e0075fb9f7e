"""The bus is away while Swarm goes on: what Docker's own DNS tells the worker keeps tenants apart and drains tasks."""

from __future__ import annotations

import pytest

from support.swarm.commands import until
from support.swarm.product import Product
from support.swarm.stale import Asking, addresses, hears, kill_proxy, service_on_small, small_network, start_proxy

pytestmark = [pytest.mark.swarm, pytest.mark.timeout(600)]


@pytest.fixture(autouse=True)
def dns(monkeypatch: pytest.MonkeyPatch) -> None:
    # The worker runs in the network of a container, but with the machine's own resolv.conf.
    monkeypatch.setenv("INTERLOCK_DNS", "127.0.0.11")


def test_an_address_that_another_service_gets_is_sent_nothing(product: Product) -> None:
    with small_network(product):
        service_on_small(product, "shop", labelled=True)
        service_on_small(product, "keep", labelled=True)
        product.wait_answers("shop.test", tasks=1, version="shop")
        product.wait_answers("keep.test", tasks=1, version="keep")
        [lost] = addresses(product, "shop")
        product._bus.close()
        with Asking(product, "shop.test", "keep.test") as asking:
            product.swarm.docker("service", "rm", "shop")
            reused_by = _until_reused(product, lost)
            before = asking.seen["shop.test"].total()
            until(lambda: asking.seen["shop.test"].total() > before + 60, 60, "requests after the reuse")
        print(f"{lost} came to {reused_by}; seen: {asking.seen}")
        assert set(asking.seen["shop.test"]) == {"shop", "503"}
        assert set(asking.seen["keep.test"]) == {"keep"}
        # A bus that is back has the plan of before for a moment.
        with Asking(product, "shop.test", "keep.test") as asking:
            product._bus.run()
            until(lambda: hears(product), 30, "the worker reads the bus again")
            before = asking.seen["shop.test"].total()
            until(lambda: asking.seen["shop.test"].total() > before + 60, 60, "requests after the return")
        assert set(asking.seen["shop.test"]) == {"503"}
        assert set(asking.seen["keep.test"]) == {"keep"}


def _until_reused(product: Product, address: str) -> str:
    """Services come and go until one has the address; its name."""
    for n in range(8):
        name = f"stranger{n}"
        service_on_small(product, name, replicas=4)
        until(lambda name=name: len(addresses(product, name)) == 4, 40, f"{name} runs")
        if address in addresses(product, name):
            return name
        product.swarm.docker("service", "rm", name)
    pytest.fail(f"{address} was never given again")


def test_tasks_are_drained_without_a_bus(product: Product) -> None:
    product.service("shop", replicas=4)
    product.wait_answers("shop.test", tasks=4)
    product._bus.close()
    with product.load(["shop.test"]) as load:
        product.swarm.docker("service", "scale", "-d", "shop=2")
        until(lambda: _running(product, "shop") == 2, 40, "two tasks have ended")
        product.wait_answers("shop.test", tasks=2)
    product._bus.run()
    report = load.report()
    assert report.requests > 500
    assert report.failures == ()
    assert report.proxy_retries == 0


def _running(product: Product, name: str) -> int:
    said = product.swarm.docker("service", "ps", "--format", "{{.CurrentState}}", name)
    return sum(line.startswith("Running") for line in said.splitlines())


def test_a_proxy_that_is_replaced_without_a_bus_serves_all_hosts(product: Product) -> None:
    product.service("shop", replicas=2)
    product.service("blog", replicas=1)
    product.wait_answers("shop.test", tasks=2)
    product.wait_answers("blog.test", tasks=1)
    product._bus.close()
    kill_proxy(product)
    until(lambda: product.ask("shop.test")[0] == 0, 10, "nothing answers")
    start_proxy(product)
    product.wait_answers("shop.test", tasks=2, timeout=10)
    product.wait_answers("blog.test", tasks=1, timeout=10)
    with Asking(product, "shop.test", "blog.test") as asking:
        until(lambda: asking.seen["blog.test"].total() > 60, 60, "requests to the replacement")
    assert all(set(seen) == {"1"} for seen in asking.seen.values())
    product._bus.run()
