"""Cluster patches."""

from typing import Any

from xdsd.compile.envoy_filters.matching import Work, cluster_matches
from xdsd.compile.envoy_filters.merging import merge_with_socket
from xdsd.model.intent import ApplyTo, PatchOperation


def patch_cluster(cluster: Any, work: Work) -> bool:
    """Changes a cluster as the patches want; False if one removes it."""
    name = cluster.name
    for patch in work.of(ApplyTo.CLUSTER):
        if patch.operation is PatchOperation.ADD or not cluster_matches(patch, name, work.facts.hosts):
            continue
        work.done(patch)
        if patch.operation is PatchOperation.REMOVE:
            return False
        merge_with_socket(cluster, patch)
        # Routes lead to clusters by their names, so that must stay.
        cluster.name = name
    return True
