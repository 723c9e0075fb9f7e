"""Changes of every kind, as users make them, of services under load and of others: drawn from a seed.

None takes away what a request under load needs: at least two tasks, its host, and its path.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from support.pipeline import PREFIX, Pipeline

SCALED = ("scaled-1", "scaled-2")
ROLLED = ("rolled-1", "rolled-2")
LABELLED = ("labelled-1", "labelled-2", "labelled-3")
TALKING, DOWNLOADED = "talking", "downloaded"
"""With the websockets and with the downloads. Their tasks stay; their labels and all that is around them change."""
UNDER_LOAD = (*SCALED, *ROLLED, *LABELLED)
STEADY = (*UNDER_LOAD, TALKING, DOWNLOADED)

_POLICY: tuple[tuple[str, tuple[str | None, ...]], ...] = (
    ("sticky_session_cookie", (None, "session", "connect.sid")),
    ("ip_hash", (None, "true")),
    ("max_fails", (None, "3", "0")),
    ("fail_timeout", (None, "5s")),
)
"""What nobody notices who has no cookie and asks tasks that answer."""


class Changes:
    """`seed` gives the same changes again, but for services whose update is under way.

    `most_new`: how many services of new names are made at most; then the names of removed ones come again.
    """

    def __init__(self, pipeline: Pipeline, seed: int, *, most_new: int = 24, prefix: str = "new") -> None:
        self.seed = seed
        self._pipeline, self._draw = pipeline, random.Random(seed)
        self._prefix, self._most_new = prefix, most_new
        self._version = 1
        self._made = 0
        self._others: dict[str, None] = {}
        self._gone: list[str] = []
        self._done: Counter[str] = Counter()

    @staticmethod
    def prepare(pipeline: Pipeline) -> None:
        """The services that are changed, in effect."""
        for name in STEADY:
            labels = {"hosts": f"{name}.test,old-{name}.test"} if name in LABELLED else {}
            if name == TALKING:
                labels = {"websocket_endpoints": "/ws"}
            # The monitor period of an update is not what this is about.
            pipeline.service(name, replicas=2, labels=labels, update_config={"Monitor": 100_000_000, "Parallelism": 1})
        pipeline.wait_effective(*STEADY, timeout=60)

    @property
    def services(self) -> tuple[str, ...]:
        """All that are there now."""
        return (*STEADY, *self._others)

    @property
    def gone(self) -> tuple[str, ...]:
        """Names of services that were removed, and are not there again."""
        return tuple(self._gone)

    def taken(self) -> Counter[str]:
        """What was done since this was asked last."""
        done, self._done = self._done, Counter()
        return done

    def one(self) -> None:
        """One change; it is on its way when this returns."""
        acts: tuple[tuple[int, Callable[[], str]], ...] = (
            (20, self._scale), (8, self._roll), (20, self._policy), (10, self._root), (10, self._hosts),
            (6, self._redirect), (4, self._mistake), (8, self._steady_ones), (15, self._create), (12, self._remove),
        )  # fmt: skip
        act = self._draw.choices([act for _, act in acts], [weight for weight, _ in acts])[0]
        self._done[act()] += 1

    def clear(self) -> None:
        """Removes the services that were made."""
        for name in self._others:
            self._pipeline.sim.remove(name)
        self._gone += self._others
        self._others = {}

    def _label(self, name: str, **labels: str | None) -> None:
        self._pipeline.sim.set_labels(name, {PREFIX + key: value for key, value in labels.items()})

    def _scale(self) -> str:
        self._pipeline.sim.scale(self._draw.choice(SCALED), self._draw.randint(2, 5))
        return "scale"

    def _roll(self) -> str:
        """Two updates of one service at once may leave Swarm without a task that listens, and nobody can answer."""
        sim = self._pipeline.sim
        idle = [n for n in ROLLED if (sim.service(n).get("UpdateStatus") or {}).get("State") != "updating"]
        if not idle:
            return self._scale()
        self._version += 1
        order = self._draw.choice(["start-first", "stop-first"])
        sim.update(self._draw.choice(idle), env={"APP_VERSION": str(self._version)}, order=order)
        return f"roll {order}"

    def _policy(self, names: tuple[str, ...] = LABELLED) -> str:
        key, values = self._draw.choice(_POLICY)
        self._label(self._draw.choice(names), **{key: self._draw.choice(values)})
        return key

    def _root(self) -> str:
        """A third has none, a third one as it is, a third one that is taken off."""
        root, rewrite = self._draw.choice([(None, None), ("/load", None), ("/load", "true")])
        self._label(self._draw.choice(LABELLED), context_root=root, context_root_rewrite=rewrite)
        return "context_root_rewrite" if rewrite else "context_root"

    def _hosts(self) -> str:
        name = self._draw.choice(LABELLED)
        more = self._draw.choice(["", f",www.{name}.test", f",*.{name}.test"])
        self._label(name, hosts=f"{name}.test,old-{name}.test{more}")
        return "hosts"

    def _redirect(self) -> str:
        name = self._draw.choice(LABELLED)
        pair = self._draw.choice([None, f"http://old-{name}.test,http://{name}.test/load"])
        self._label(name, redirects=pair)
        return "redirects"

    def _mistake(self) -> str:
        self._label(self._draw.choice(LABELLED), hots=self._draw.choice([None, "x"]))
        return "mistake"

    def _steady_ones(self) -> str:
        """The backends of the websockets and the downloads become others, with these open."""
        if self._draw.random() < 0.3:
            return self._policy((TALKING, DOWNLOADED))
        name = self._draw.choice((TALKING, DOWNLOADED))
        self._label(name, hosts=f"{name}.test{self._draw.choice(['', f',www.{name}.test'])}")
        return "hosts"

    def _create(self) -> str:
        if self._made < self._most_new:
            self._made += 1
            name = f"{self._prefix}-{self._made}"
        elif self._gone:
            name = self._gone.pop(self._draw.randrange(len(self._gone)))
        else:
            return self._remove()
        self._pipeline.service(name, replicas=self._draw.randint(1, 2))
        self._others[name] = None
        return "create"

    def _remove(self) -> str:
        if not self._others:
            return self._create()
        name = self._draw.choice(list(self._others))
        del self._others[name]
        self._gone.append(name)
        self._pipeline.sim.remove(name)
        return "remove"
