"""ProxyConfig: what a proxy is started with, for the mesh, a namespace or the workloads that it selects.

None of it travels with the config that a daemon serves: ``xdsctl bootstrap --patched`` writes it down.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import AfterValidator

from xdsd.model.intent.base import Count, Finding, Message, Str, absent, invalid, missing, shown, table
from xdsd.model.intent.selector import LabelSelector

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LONGEST = 2048


def _variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise invalid(f"{shown(name)} is no variable's name: write letters, digits and _, a digit not first")
    return name


def _variable_value(text: str) -> str:
    if len(text) > _LONGEST:
        raise invalid(f"{shown(text)} is longer than {_LONGEST} characters")
    if not text.isprintable():
        raise invalid(f"{shown(text)} holds a line break or another character that is not printable")
    return text


Variables = dict[Annotated[Str, AfterValidator(_variable)], Annotated[Str, AfterValidator(_variable_value)]]
"""Environment variables. Those that begin with ``ISTIO_META_`` become metadata of the node."""


class ProxyImage(Message):
    """The container that a proxy runs in."""

    image_type: Str | None = absent("Variant of the image.")


class ProxyConfig(Message):
    """What proxies are started with; it takes effect when they are started anew."""

    selector: LabelSelector | None = absent("Workloads it is for; the whole namespace if left out.")
    concurrency: Count | None = absent(
        "Worker threads; 0 is one for each core, as if left out.", nullable=True
    )
    environment_variables: Variables = table(
        "Environment of the proxy; names that begin with ISTIO_META_ become metadata of its node."
    )
    image: ProxyImage | None = absent("Container that the proxy runs in.")

    @property
    def is_wide(self) -> bool:
        """True for one that is for a whole namespace."""
        return self.selector is None or not self.selector.match_labels

    def selects(self, labels: Mapping[str, str]) -> bool:
        """True for a workload with these labels."""
        return self.selector is None or self.selector.match_labels.items() <= labels.items()

    def findings(self) -> Iterator[Finding]:
        if self.concurrency is None and not self.environment_variables and self.image is None:
            yield missing("is empty; give concurrency or environmentVariables")
