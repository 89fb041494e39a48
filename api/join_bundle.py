"""Join bundles: one file with all that a bare machine needs to join the mesh as a member of a WorkloadGroup. Pure.

A shell script takes it apart (``scripts/machine-join``): a head of ``key: value`` lines, then parts between lines as PEM has
them. What only the machine knows stands in the bootstrap as ``@ADDRESS@`` and ``@NAME@``.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xdsd.model.intent import Object, WorkloadGroup
from xdsd.setting_values import TcpAddress

VERSION = "1"
FOLDER = Path("/etc/xdsd/machine")
"""Where the machine keeps it."""

ROOTS, TOKEN = FOLDER / "root.pem", FOLDER / "token"
ADDRESS, NAME = "@ADDRESS@", "@NAME@"


@dataclass(frozen=True, slots=True)
class Bundle:
    """``bootstrap`` is an Envoy's, as JSON (Any: it nests freely)."""

    group: Object[WorkloadGroup]
    name: str
    daemons: tuple[TcpAddress, ...]
    identity: str
    token_id: str
    expires: str
    token: str = field(repr=False)
    roots: str
    bootstrap: Mapping[str, Any]


def written(bundle: Bundle) -> str:
    """The file."""
    metadata = bundle.group.metadata
    head = {
        "xdsd-join-bundle": VERSION,
        "group": metadata.name,
        "namespace": metadata.namespace,
        "identity": bundle.identity,
        "daemons": " ".join(map(str, bundle.daemons)),
        "name": bundle.name,
        "dns": "yes" if "DNS_CAPTURE" in bundle.bootstrap["node"].get("metadata", {}) else "no",
        "token-id": bundle.token_id,
        "expires": bundle.expires,
    }
    lines = [f"{key}: {value}" for key, value in head.items()]
    parts = (
        ("JOIN TOKEN", bundle.token),
        ("ROOTS", bundle.roots.strip()),
        ("BOOTSTRAP", json.dumps(bundle.bootstrap, indent=1, sort_keys=True)),
    )
    for name, text in parts:
        lines += [f"=====BEGIN {name}=====", text, f"=====END {name}====="]
    return "\n".join(lines) + "\n"


def contents(bundle: Bundle) -> Sequence[tuple[str, str]]:
    """What is in it, for whoever is to keep it safe."""
    return (
        ("group", f"WorkloadGroup {bundle.group.metadata.namespace}/{bundle.group.metadata.name}"),
        ("join token", f"{bundle.token_id}, of {bundle.identity}, until {bundle.expires}: a secret"),
        ("roots", f"{bundle.roots.count('BEGIN CERTIFICATE')} of the mesh's CA"),
        ("daemons", " ".join(map(str, bundle.daemons))),
        (
            "bootstrap",
            f"of Envoy; the machine's address and name ({bundle.name or 'its host name'}) are put in there",
        ),
    )
