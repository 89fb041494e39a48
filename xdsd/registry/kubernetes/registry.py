"""One cluster as a source of the catalog, and of intent where that is wanted: its watchers, and who looks after them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from xdsd.model.credential import CredentialName
from xdsd.model.problem import Problem
from xdsd.registry.base import SecretSink, Sink
from xdsd.registry.kubernetes.api import Api, Refused, Unreachable
from xdsd.registry.kubernetes.collection import (
    AnyCollection,
    collections_of,
    ingress_of,
    intent_of,
    secrets_of,
)
from xdsd.registry.kubernetes.ingress_state import IngressState
from xdsd.registry.kubernetes.intent import IntentState, Rule
from xdsd.registry.kubernetes.keeping import Keeper
from xdsd.registry.kubernetes.life import Life
from xdsd.registry.kubernetes.login import Login, from_kubeconfig, in_cluster
from xdsd.registry.kubernetes.options import Cluster
from xdsd.registry.kubernetes.reporter import Reporter
from xdsd.registry.kubernetes.secrets import SecretState
from xdsd.registry.kubernetes.state import ClusterState
from xdsd.registry.kubernetes.telling import (
    TELL_EVERY,
    BalancerTeller,
    StatusTeller,
    of_objects,
)
from xdsd.registry.kubernetes.watcher import BRIEF, Watcher
from xdsd.registry.last_good import LastGood

_PROBE_SECONDS = 5.0
_RENEW_SECONDS = 300.0


class KubernetesRegistry:
    """Services, endpoints and workloads of one cluster, and its intent. ``domain`` is the mesh's, ``root`` its root
    namespace, and ``rules`` say what is wrong with an object of intent beyond what its messages say; ``secrets``
    is given those that are asked for, and ``copies`` outlive the daemon.
    """

    def __init__(
        self,
        cluster: Cluster,
        domain: str,
        root: str = "",
        *,
        login: Callable[[], Awaitable[Login]] | None = None,
        api: Api | None = None,
        rules: Sequence[Rule] = (),
        secrets: SecretSink | None = None,
        copies: LastGood | None = None,
        probe: float = _PROBE_SECONDS,
        brief: float = BRIEF,
    ) -> None:
        self._cluster = cluster
        self._domain = domain
        self._root = root
        self._api = api or Api(login or (lambda: _login(cluster)))
        self._rules = rules
        self._secrets = secrets
        self._copies = copies
        self._probe = probe
        self._brief = brief
        self._teller: StatusTeller | None = None
        self._balancers: BalancerTeller | None = None

    @property
    def name(self) -> str:
        return str(self._cluster)

    async def run(self, sink: Sink) -> None:
        """Reports until cancelled."""
        state = ClusterState(
            source=self.name,
            domain=self._domain,
            root=self._root,
            network=self._cluster.network,
            cluster=self._cluster.name,
        )
        api = self._api
        intent = IntentState(self.name, self._rules)
        ingresses = IngressState(self.name, self._domain, state.port_of)
        secrets = SecretState(self.name, self._secrets or _Nobody())
        chosen = self._cluster
        collections: list[AnyCollection] = [
            *collections_of(chosen.namespaces),
            *intent_of(chosen.intent, chosen.namespaces),
            *ingress_of(chosen.ingress, chosen.namespaces),
            *secrets_of(chosen.secrets if self._secrets is not None else ()),
        ]
        reporter = Reporter(state, intent, secrets, ingresses, sink, self.name, collections, chosen.meant)
        watchers: list[Watcher[AnyCollection]] = []
        keeper = Keeper(Life(api), reporter, chosen.hold, watchers, self._copies)
        watchers += (Watcher(api, each, reporter, keeper.is_other, self._brief) for each in collections)
        self._teller = StatusTeller(api, intent, reporter.warn)
        self._balancers = BalancerTeller(api, ingresses, chosen.ingress_address, reporter.warn)
        try:
            await keeper.recall()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(keeper.run())
                for watcher in watchers:
                    tasks.create_task(watcher.run())
                tasks.create_task(self._look_after(api, reporter, watchers))
                tasks.create_task(reporter.run())
        finally:
            self._teller = self._balancers = None
            await api.close()

    @property
    def writes(self) -> bool:
        """Whether something may be written to the cluster: to custom resources that are intent, to Ingresses."""
        return bool(self._cluster.intent or self._cluster.ingress_address)

    async def tell(self, problems: Callable[[], Sequence[Problem] | None]) -> None:
        """Writes into the status of custom resources what ``problems`` says of them, where it knows, and into that of
        Ingresses where they are served, until cancelled. One daemon does it for all that watch the cluster.
        """
        while True:
            teller, balancers, told = self._teller, self._balancers, problems()
            if teller is not None and told is not None:
                await teller.look(of_objects(self.name, told))
            if balancers is not None:
                await balancers.look()
            await asyncio.sleep(TELL_EVERY)

    async def _look_after(
        self, api: Api, reporter: Reporter, watchers: Sequence[Watcher[AnyCollection]]
    ) -> None:
        """Asks the server now and then whether it is there: a watch of which nothing is heard may be dead or content."""
        clock = asyncio.get_running_loop().time
        renewed, alive = clock(), True
        while True:
            await asyncio.sleep(self._probe)
            try:
                async with asyncio.timeout(self._probe):
                    await api.get("/version")
            except (Unreachable, TimeoutError) as error:
                alive = False
                reporter.gone(str(error) or "the server does not answer in time")
                continue
            except Refused:
                pass  # Whoever refuses is there.
            if not alive:
                alive = True
                reporter.back()
                for watcher in watchers:
                    watcher.again()
            if clock() - renewed > _RENEW_SECONDS:
                renewed = clock()
                try:
                    await api.renew()
                except Unreachable as error:
                    reporter.warn("login", str(error))
                else:
                    reporter.warn("login", "")


class _Nobody:
    """Takes no secrets, where none are asked for."""

    def put(self, _source: str, _name: CredentialName, _data: Mapping[str, bytes]) -> None:
        pass

    def drop(self, _source: str, _name: CredentialName) -> None:
        pass


async def _login(cluster: Cluster) -> Login:
    if cluster.kubeconfig is None:
        return await in_cluster()
    return await from_kubeconfig(cluster.kubeconfig, cluster.context)
