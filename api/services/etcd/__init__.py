"""etcd's v3 API over whatever store is behind: keys of xdsd pass its rights and its admission, others where configured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import grpc
from aetcd.rpc import rpc_pb2_grpc as services

from api.access.proving import Prover
from api.ports import Health, Intents, Members
from api.services.etcd.auth import AuthService
from api.services.etcd.cluster import ClusterService
from api.services.etcd.headers import Headers
from api.services.etcd.kv import KvService
from api.services.etcd.lease import LeaseService
from api.services.etcd.maintenance import MaintenanceService
from api.services.etcd.policy import KeyPolicy
from api.services.etcd.watch import WatchService
from storage.base import Store


@dataclass(frozen=True, slots=True)
class Etcd:
    """What etcd's API is served from."""

    store: Store
    members: Members
    policy: KeyPolicy


def etcd_adders(
    etcd: Etcd, intents: Intents, health: Health, prover: Prover
) -> Mapping[str, Callable[[grpc.aio.Server], None]]:
    """What adds each service of etcd's API to a server, by its full name."""
    headers = Headers(etcd.store, etcd.members)
    kv = KvService(etcd.store, intents, etcd.policy, headers)
    watch = WatchService(etcd.store, etcd.policy, headers)
    lease = LeaseService(etcd.store, etcd.policy, headers)
    cluster = ClusterService(etcd.members, headers)
    maintenance = MaintenanceService(etcd.store, etcd.policy, etcd.members, health, headers)
    auth = AuthService(prover, headers)
    return {
        "etcdserverpb.KV": lambda server: services.add_KVServicer_to_server(kv, server),
        "etcdserverpb.Watch": lambda server: services.add_WatchServicer_to_server(watch, server),
        "etcdserverpb.Lease": lambda server: services.add_LeaseServicer_to_server(lease, server),
        "etcdserverpb.Cluster": lambda server: services.add_ClusterServicer_to_server(cluster, server),
        "etcdserverpb.Maintenance": lambda server: services.add_MaintenanceServicer_to_server(
            maintenance, server
        ),
        "etcdserverpb.Auth": lambda server: services.add_AuthServicer_to_server(auth, server),
    }
