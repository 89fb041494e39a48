"""What a proxy's answer to a response, an ACK or a NACK, means for the watch."""

from xdsd.protocol.commands import Accepted, Command, Rejected
from xdsd.protocol.rejection import Verdict, judge, words_about
from xdsd.protocol.sotw import FULL
from xdsd.protocol.watch import Flight, Rejection, Watch


def answered(watch: Watch, nonce: str, error: str | None, now: float, *, portions: bool) -> Command | None:
    """Takes the answer in. ``error`` is a NACK's text. ``portions``: the dialect sends this type piecewise.

    An answer to a response that was superseded after it went unanswered for too long still counts.
    """
    flight = watch.flight
    if flight is not None and flight.nonce == nonce:
        watch.flight = None
    else:
        flight = next((late for late in watch.late if late.nonce == nonce), None)
        if flight is None:
            return None
        watch.late = tuple(late for late in watch.late if late is not flight)
    if error is None:
        _accept(watch, flight, now)
        return Accepted(watch.type_url, None if flight.since is None else now - flight.since)
    return _reject(watch, flight, error, portions)


def _accept(watch: Watch, flight: Flight, now: float) -> None:
    watch.acked_at = now
    watch.settled = max(watch.settled, flight.generation)
    if watch.rejected:
        for resource in flight.offer.resources():
            watch.rejected.pop(resource.name, None)
        for name in flight.offer.removed:
            watch.rejected.pop(name, None)
        if flight.offer.version and watch.type_url in FULL:
            watch.rejected = None
    if watch.error and not watch.rejected and not watch.trials:
        watch.error = ""


def _reject(watch: Watch, flight: Flight, error: str, portions: bool) -> Rejected:
    watch.error = error or "rejected without a reason"
    resources = flight.offer.resources()
    verdict = judge(resources, flight.offer.removed, error) if resources else Verdict((), ())
    if portions:
        watch.trials += verdict.trials
    else:
        watch.refused = flight.offer.version
    if verdict.guilty:
        watch.rejected = watch.rejected or {}
        words = words_about([resource.name for resource in verdict.guilty], watch.error)
        for resource in verdict.guilty:
            watch.rejected[resource.name] = Rejection(resource.name, resource.version, words[resource.name])
    return Rejected(watch.type_url, tuple(resource.name for resource in verdict.guilty), watch.error)
