"""What a proxy is started with beside its bootstrap, as far as objects decide it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from xdsd.model.durations import format_duration

METADATA = "PROXY_CONFIG"
"""Where a node's metadata has what its proxy was started with, in the words of Istio's ProxyConfig."""

DEFAULT_ADMIN_PORT = 15000
"""Where a proxy's admin page is if nobody decided it."""

_META = "ISTIO_META_"


@dataclass(frozen=True, slots=True)
class ProxyStart:
    """The values for one proxy; None is what nobody decided, and 0 threads are one for each core."""

    concurrency: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    runtime: Mapping[str, str] = field(default_factory=dict)
    drain: timedelta | None = None
    admin_port: int | None = None

    @property
    def metadata(self) -> dict[str, str]:
        """What the environment adds to the node's metadata."""
        return {
            name.removeprefix(_META): value
            for name, value in self.environment.items()
            if name.startswith(_META) and name != _META
        }

    def written(self) -> dict[str, Any]:  # Any: JSON
        """As a node says it of itself; empty where nobody decided anything."""
        values = {
            "concurrency": self.concurrency,
            "drainDuration": None if self.drain is None else format_duration(self.drain),
            "proxyAdminPort": self.admin_port,
            "proxyMetadata": dict(self.environment) or None,
            "runtimeValues": dict(self.runtime) or None,
        }
        return {name: value for name, value in values.items() if value is not None}
