"""What is said on one stream of Envoy's health discovery service. Pure."""

from collections.abc import Callable
from typing import Any

from xdsd.model.intent import ReadinessProbe
from xdsd.model.registered import ProbeResult
from xdsd.registration.listening import Ears, Listening, listening_specifier
from xdsd.registration.probes import found, specifier, timeout

Asked = ReadinessProbe | Listening

SELDOM = 0.9
"""Seconds between two reports that are listened to: Envoy has been told to send fewer."""

SETTLING = 1.0
"""Seconds beside a probe's timeout before it is believed that it fails: Envoy says so before the first has ended, too."""


class Conversation:
    """One stream of one machine; times are in seconds.

    ``probe`` is what is to be known of it now, and the machine's address; ``report`` hears what was found. ``number``
    tells specifiers apart. ``explicit``: what its program hears comes from the sidecar alone, over loopback.
    """

    def __init__(
        self,
        probe: Callable[[], tuple[Asked, str] | None],
        report: Callable[[ProbeResult], None],
        number: Callable[[], int],
        *,
        explicit: bool = False,
    ) -> None:
        self._explicit = explicit
        self._probe = probe
        self._report = report
        self._number = number
        self._told: tuple[Asked, str] | None = None
        self._ears = Ears()
        self._since: float | None = None
        self._settled = 0.0
        self._next = 0.0

    def wanted(self, now: float) -> Any:
        """A specifier, where Envoy is to check something else than before; None for now."""
        probe = self._probe()
        if probe is None:
            self._since = None
            return None
        if self._since is None:
            self._since = now
        asked, address = probe
        if probe == self._told:
            return None
        host = ("::1" if ":" in address else "127.0.0.1") if self._explicit else address
        if isinstance(asked, Listening):
            self._told = probe
            return listening_specifier(asked, host, self._number())
        if self._told is None and now < self._since + (asked.initial_delay_seconds or 0):
            return None
        self._told = probe
        self._settled = now + timeout(asked).total_seconds() + SETTLING
        return specifier(asked, host, self._number())

    def heard(self, response: Any, now: float) -> None:
        """Envoy says what it found."""
        listening = self._told is not None and isinstance(self._told[0], Listening)
        result = self._ears.found(response) if listening else found(response)
        if self._told is None or result is None or (result is ProbeResult.UNHEALTHY and now < self._settled):
            return
        if now < self._next:
            return
        self._next = now + SELDOM
        self._report(result)
