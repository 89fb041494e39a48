"""Whether roots or a signer that an operator put in files may be taken yet, by the rule of ``rotation``. Pure.

Whoever signs must be trusted by everybody first, and a root goes once nobody has a certificate of it. The steps are the
operator's: the new root beside the old, then who signs, then without the old. Each waits here until all are ready for it.
"""

from collections.abc import Iterable

from xdsd.ca.authority import Trust, id_of, root_names
from xdsd.ca.rotation import Facts, counted
from xdsd.ca.standing import Answer, Standing

_SHOWN = 5


def unready(before: Trust, after: Trust, facts: Facts) -> str:
    """Why ``after`` cannot follow ``before`` yet; empty where it can."""
    old, new = ({id_of(root) for root in trust.roots} for trust in (before, after))
    signs = _signing_root(after)
    if signs not in old:
        return (
            f"the root {signs}, which is to sign, was not trusted before: put it beside the old roots first, and leave who "
            "signs as it is"
        )
    asked = [each for each in counted(facts) if each.given and not each.is_daemon]
    if signs != _signing_root(before) and (late := [each for each in asked if signs not in each.trusts]):
        return f"the root {signs} is to sign, and is not trusted yet by {_named(late)}"
    if gone := old - new:
        has = [
            each for each in asked if each.answer is not Answer.ACKNOWLEDGED or {each.leaf, each.file} & gone
        ]
        if has:
            return f"{', '.join(sorted(gone))} is to be trusted no more, and certificates of it are with {_named(has)}"
        if _signing_root(before) in gone:
            return f"the root {_signing_root(before)} signs still; change who signs first, then take it out"
    return ""


def _signing_root(trust: Trust) -> str:
    return root_names(trust).get(trust.cas[0].certificate.subject.rfc4514_string(), "") if trust.cas else ""


def _named(standings: Iterable[Standing]) -> str:
    names = sorted({each.name for each in standings})
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
