"""What runs in a cluster: pods on their nodes, as what endpoints are and as workloads. Pure."""

import sys
from collections.abc import Mapping, Set
from dataclasses import replace

from xdsd.model.catalog import Endpoint, Health, Workload, WorkloadKey, node_name
from xdsd.registry.kubernetes import facts
from xdsd.registry.kubernetes.facts import Backend, Name, Pod
from xdsd.registry.kubernetes.index import Index, keep, taken

CLUSTER_LABEL = "topology.istio.io/cluster"


class Programs:
    """Takes pods, nodes and the network of the namespace ``root``.

    ``network`` and ``cluster`` are what all belong to; without ``network`` the label of the namespace counts.
    """

    def __init__(self, *, root: str, network: str, cluster: str) -> None:
        self._root = root
        self._network = network
        self._cluster = cluster
        self._namespace_network = ""
        self._pods: dict[Name, Pod] = {}
        self._nodes: dict[str, str] = {}
        self._on: Index[str, Name] = Index()
        self._touched: set[Name] = set()
        self._workloads: dict[Name, Workload] = {}

    @property
    def pods(self) -> Mapping[Name, Pod]:
        """Those that run."""
        return self._pods

    def locality_of(self, node: str) -> str:
        """Where a node stands; empty where that is not known."""
        return self._nodes.get(node, "")

    @property
    def pending(self) -> bool:
        """Whether ``take`` has something to look at."""
        return bool(self._touched)

    def set_pod(self, name: Name, now: Pod | None) -> bool:
        """A pod runs, or does not. True where that makes endpoints otherwise: slices say themselves how ready these are."""
        before = self._pods.get(name)
        if before == now:
            return False
        if before is not None:
            self._on.leave(before.node, name)
        keep(self._pods, name, now)
        if now is not None:
            self._on.enter(now.node, name)
        self._touched.add(name)
        return before is None or now is None or replace(before, health=now.health) != now

    def set_node(self, name: str, locality: str) -> Set[Name] | None:
        """Where a node stands: the pods on it, None if nothing changed."""
        if self._nodes.get(name, "") == locality:
            return None
        keep(self._nodes, name, locality or None)
        found = self._on.of(name)
        self._touched |= found
        return found

    def set_namespace(self, name: str, network: str) -> bool:
        """The network of a namespace. True where that makes everything otherwise."""
        if name != self._root or self._namespace_network == network or self._network:
            return False
        self._namespace_network = network
        self._touched |= self._pods.keys()
        return True

    def endpoint(self, backend: Backend, pod: Pod | None, ports: Mapping[str, int]) -> Endpoint:
        """What is behind a service."""
        return self._endpoint(backend.address, backend.health, pod, backend, ports)

    def take(self, most: int) -> tuple[tuple[Workload, ...], tuple[WorkloadKey, ...]]:
        """The workloads that are otherwise than when it was last asked, and those that are gone, of at most so many pods."""
        new: list[Workload] = []
        lost: list[WorkloadKey] = []
        for name in taken(self._touched, most):
            pod, before = self._pods.get(name), self._workloads.get(name)
            if pod is None:
                if before is not None:
                    lost.append(before.key)
                    del self._workloads[name]
                continue
            endpoint = self._endpoint(pod.address, pod.health, pod, None, {})
            if before is None or before.endpoint != endpoint:
                self._workloads[name] = Workload(name.namespace, name.name, endpoint)
                new.append(self._workloads[name])
        return tuple(new), tuple(lost)

    def _endpoint(
        self, address: str, health: Health, pod: Pod | None, backend: Backend | None, ports: Mapping[str, int]
    ) -> Endpoint:
        labels = pod.labels if pod else {}
        node = backend.node if backend and backend.node else pod.node if pod else ""
        return Endpoint(
            address=address,
            ports=ports,
            labels={**labels, CLUSTER_LABEL: self._cluster} if self._cluster else labels,
            locality=self._place(pod, backend, node),
            network=(pod.network if pod else "") or self._network or self._namespace_network,
            service_account=pod.account if pod else "",
            health=health,
            node=sys.intern(node_name(self._cluster, node)),
        )

    def _place(self, pod: Pod | None, backend: Backend | None, node: str) -> str:
        said = (pod.locality if pod else "") or self._nodes.get(node, "")
        return said or (facts.zone_locality(backend.zone) if backend and backend.zone else "")
