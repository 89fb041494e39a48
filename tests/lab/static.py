"""Compiled resources as the static configuration of one Envoy, and answers to them that a test can read."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message


def static_bootstrap(listeners: Iterable[Any] = (), clusters: Iterable[Any] = ()) -> dict[str, Any]:
    """A bootstrap of just these; listeners must not wait for ADS."""
    bootstrap = Bootstrap()
    bootstrap.node.id = "sidecar~127.0.0.1~lab.default~default.svc.cluster.local"
    bootstrap.node.cluster = "lab"
    bootstrap.static_resources.listeners.extend(listeners)
    bootstrap.static_resources.clusters.extend(clusters)
    return as_dict(bootstrap)


def static_cluster(name: str, address: str, port: int) -> Any:
    """A cluster of one endpoint."""
    cluster = Cluster(name=name, type=Cluster.STATIC)
    cluster.connect_timeout.FromSeconds(2)
    cluster.load_assignment.cluster_name = name
    endpoint = cluster.load_assignment.endpoints.add().lb_endpoints.add().endpoint
    endpoint.address.socket_address.address = address
    endpoint.address.socket_address.port_value = port
    return cluster


def watch_listeners(bootstrap: dict[str, Any], file: Path) -> dict[str, Any]:
    """The bootstrap, with further listeners from a file that ``write_listeners`` writes."""
    source = {"path_config_source": {"path": str(file)}, "resource_api_version": "V3"}
    return {**bootstrap, "dynamic_resources": {"lds_config": source}}


def write_listeners(file: Path, listeners: Iterable[Message]) -> None:
    """Replaces the listeners of a watched file at once, so that Envoy never reads half of them."""
    resources = []
    for listener in listeners:
        wrapped = AnyMessage()
        wrapped.Pack(listener)
        resources.append(as_dict(wrapped))
    new = file.with_suffix(".new")
    new.write_text(json.dumps({"resources": resources}))
    new.rename(file)


def as_dict(message: Message) -> dict[str, Any]:
    """A message as JSON spells it, in the field names of its definition."""
    return MessageToDict(message, preserving_proto_field_name=True)
