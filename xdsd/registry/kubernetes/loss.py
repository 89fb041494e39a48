"""That a cluster came back without what it had. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Loss:
    """What is missing is kept until then. ``set_back``: it is the same cluster, at an earlier time."""

    until: datetime
    set_back: bool

    def said(self, counts: Mapping[str, int]) -> str:
        """That so many objects of each kind are kept; empty if none are."""
        found = {kind: count for kind, count in counts.items() if count}
        if not found:
            return ""
        listed = [
            f"{count} {kind}" for kind, count in sorted(found.items(), key=lambda each: (-each[1], each[0]))
        ]
        shown = ", ".join(listed[:_SHOWN]) + (", …" if len(listed) > _SHOWN else "")
        why = (
            "the cluster was set back in time, as by an older backup, and does not have them"
            if self.set_back
            else "the cluster came back as another one, without them"
        )
        until = self.until.isoformat(timespec="seconds").replace("+00:00", "Z")
        return (
            f"{sum(found.values())} objects ({shown}) are served as they were, since {why}: they are let go at {until}"
            " unless they are there again; bring them back, or restart the daemon with hold=0 to let them go now"
        )
