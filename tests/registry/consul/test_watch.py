"""Whatever order answers of a Consul come in, and whichever of them are missing, in the end all is as a fresh list says."""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.contracts.registry import Recorder
from tests.lab.eventually import eventually
from tests.registry.consul.entries import SOURCE, body, entry
from xdsd.model.catalog import Endpoint, ServiceKey
from xdsd.registry.consul import ConsulOptions
from xdsd.registry.consul.client import Answer, Away
from xdsd.registry.consul.life import SERVERS
from xdsd.registry.consul.listing import NAMES
from xdsd.registry.consul.registry import follow
from xdsd.registry.consul.services import Reader
from xdsd.registry.consul.timing import Timing

HURRY = Timing(
    names=0.03, service=0.03, first_pause=0.001, longest_pause=0.004, rate=1e6, burst=1_000_000, token=60.0
)
Event = tuple[str, int, int]
"""A service, one of its instances, and the last number of its address from now on; 0: it leaves."""

State = Mapping[str, Mapping[int, int]]
Everything = dict[ServiceKey, tuple[Endpoint, ...]]


class History:
    """The catalog as it was at each index, from 10 on."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.states: list[State] = [{}]
        self._changed: list[dict[str, int]] = [{}]
        self._extinct: list[int] = [10]
        for name, ident, address in events:
            self._add(name, ident, address)

    def _add(self, name: str, ident: int, address: int) -> None:
        state = {each: dict(instances) for each, instances in self.states[-1].items()}
        instances = state.setdefault(name, {})
        instances.pop(ident, None)
        if address:
            instances[ident] = address
        index = 10 + len(self.states)
        if not instances:
            del state[name]
        self.states.append(state)
        self._changed.append({**self._changed[-1], name: index})
        self._extinct.append(self._extinct[-1] if instances else index)

    def answer(self, path: str, at: int, *, hidden: bool = False) -> Answer:
        """What Consul said at a point in time; ``hidden``: to a token that may read only half of it."""
        name, state = path.rpartition("/")[2], self.states[at]
        if path == SERVERS:
            return Answer(json.dumps([{"Node": "one", "ID": "1", "CreateIndex": 5}]).encode(), 5)
        if path == NAMES:
            names = sorted(state)[: len(state) // 2] if hidden else state
            return Answer(json.dumps({"consul": [], **{each: [] for each in names}}).encode(), 10 + at)
        instances = sorted(state.get(name, {}).items())
        shown = instances[: len(instances) // 2] if hidden else instances
        entries = [entry(f"{name}-{key}", Service=name, Address=f"10.0.{key}.{last}") for key, last in shown]
        index = self._changed[at].get(name, 10) if instances else self._extinct[at]
        return Answer(body(entries), index)


class Script:
    """Answers as it is told at first, and then what is true at last."""

    def __init__(self, history: History, lies: Sequence[str]) -> None:
        self._history = history
        self._lies = deque(lies)
        self._at = 0 if lies else len(history.states) - 1
        self._last: dict[str, Answer] = {}

    @property
    def is_true(self) -> bool:
        """No lies are left."""
        return not self._lies

    def has_another_token(self) -> bool:
        return False

    async def ask(self, path: str, index: int = 0, wait: float = 0.0, **_: Any) -> Answer:
        await asyncio.sleep(0)
        answer = self._answer(path)
        if index and answer.index == index and not self._lies:
            await asyncio.sleep(wait)
        self._last[path] = answer
        return answer

    def _answer(self, path: str) -> Answer:
        end = len(self._history.states) - 1
        lie = self._lies.popleft() if self._lies else "end"
        self._at = end if lie == "end" else min(self._at + {"next": 1, "skip": 4}.get(lie, 0), end)
        match lie:
            case "error":
                raise Away("No cluster leader")
            case "torn":
                return Answer(b'[{"Node":', 10 + self._at)
            case "old":
                return self._history.answer(path, self._at // 2)
            case "twice" if path in self._last:
                return self._last[path]
        return self._history.answer(path, self._at, hidden=lie == "hidden")


@contextlib.asynccontextmanager
async def followed(client: Script, connections: int = 200) -> AsyncIterator[Recorder]:
    options = ConsulOptions(hold=0.05, connections=connections)
    reader, sink = Reader(options, "mesh.local", SOURCE), Recorder()
    task = asyncio.create_task(follow(client, reader, sink, HURRY))  # type: ignore[arg-type]
    try:
        yield sink
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def everything(sink: Recorder) -> Everything:
    return {key: sink.catalog.endpoints(key) for key in sink.catalog.services()}


async def fresh(history: History) -> Everything:
    async with followed(Script(history, ())) as sink:
        await sink.told("synced")
        return everything(sink)


async def check(events: Sequence[Event], lies: Sequence[str], connections: int) -> None:
    history = History(events)
    wanted = await fresh(history)
    client = Script(history, lies)
    async with followed(client, connections) as sink:

        def holds() -> None:
            assert client.is_true
            assert everything(sink) == wanted
            assert [each for each in sink.mistakes if "read in turn" not in each.message] == []
            assert [word for word in sink.log if word != "change"][-1:] == ["synced"]

        await eventually(holds, "all is as a fresh list says", every=0.005)


EVENTS = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 3), st.integers(0, 3)), max_size=24)
LIES = st.lists(
    st.sampled_from(["next", "next", "next", "skip", "old", "twice", "hidden", "error", "torn"]), max_size=60
)


@settings(deadline=None, max_examples=25, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(events=EVENTS, lies=LIES, connections=st.sampled_from([10, 200]))
def test_a_disordered_watch_ends_as_a_fresh_list(
    events: list[Event], lies: list[str], connections: int
) -> None:
    """Answers that are old, repeated, missing, torn, refused or filtered: once Consul tells the truth, all of it holds,
    of services with a query of their own and of those that are read in turn.
    """
    asyncio.run(check(events, lies, connections))
