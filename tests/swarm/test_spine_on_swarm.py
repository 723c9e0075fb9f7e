"""The spine on real engines: what the simulator promises is true of Docker."""

from __future__ import annotations

import pytest

from support.swarm.commands import until
from support.swarm.product import Product

pytestmark = [pytest.mark.swarm, pytest.mark.timeout(600)]


def test_a_service_comes_changes_and_goes(product: Product) -> None:
    product.service("shop", replicas=2)
    product.wait_answers("shop.test", tasks=2)
    product.update("shop", "--label-add", "com.docker.lb.hosts=shop.test,www.shop.test")
    product.wait_answers("www.shop.test", tasks=2)
    product.swarm.docker("service", "scale", "-d", "shop=4")
    product.wait_answers("shop.test", tasks=4)
    product.swarm.docker("service", "rm", "shop")
    product.wait_unrouted("shop.test")
    product.service("shop", replicas=1)
    product.wait_answers("shop.test", tasks=1)


def test_updates_and_scaling_lose_nothing_under_load(product: Product) -> None:
    product.service("shop", replicas=3)
    product.service("blog", replicas=2)
    product.wait_answers("shop.test", tasks=3)
    product.wait_answers("blog.test", tasks=2)
    with product.load(["shop.test", "blog.test"]) as load:
        for version, order in (("2", "start-first"), ("3", "stop-first")):
            product.update("shop", "--update-order", order, "--env-add", f"VERSION={version}")
            until(lambda: product.settled("shop"), 60, f"the {order} update ends")
            product.wait_answers("shop.test", tasks=3, version=version)
        for replicas in (5, 2):
            product.swarm.docker("service", "scale", "-d", f"blog={replicas}")
            product.wait_answers("blog.test", tasks=replicas)
        # What Swarm lets go of is signalled three seconds later.
        until(lambda: not any(c.draining for c in product.status().clusters), 30, "nothing drains any more")
    report = load.report()
    outcome = product.outcome()
    assert report.requests > 1000
    assert report.failures == ()
    # A retry by the proxy is no evidence of draining: there was none.
    assert report.proxy_retries == 0
    assert outcome.drains
    assert outcome.drain_misses == 0
    assert min(drain.margin for drain in outcome.drains) > 0
