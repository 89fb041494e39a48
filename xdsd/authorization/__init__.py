"""What AuthorizationPolicies decide about a request, read from the policies themselves.

*Facts* are what is known of a request or connection. A *policy* is for some workloads; those that are for one decide in an
order: CUSTOM asks a provider, DENY refuses, then, where there is any ALLOW policy, one of them must match; AUDIT and dry
runs only remark. A *rule* of a policy matches where one of its sources, one of its operations and all of its conditions
hold; each field that does not hold is a *failure*, and the rule with the fewest is the *nearest miss*. A *site* is all that
decides in a mesh; at a *door* of it (a port of a workload) a caller *arrives* with its identity or without, as
DestinationRules, PeerAuthentications, labels and revocations say, before any policy judges it.

This is a second reading of the published rules, beside the one that turns them into Envoy's filters
(``xdsd.compile.authorization``): nothing is shared, so that each can be tested by the other, and ``xdsctl authz`` says
what was meant. Pure functions over values.
"""

from xdsd.authorization.applying import Subject, applying, dry_runs
from xdsd.authorization.deciding import Decision, Effect, Match, Miss, Why, decide
from xdsd.authorization.facts import Facts, Request
from xdsd.authorization.judging import Failure, failures

__all__ = [
    "Decision",
    "Effect",
    "Facts",
    "Failure",
    "Match",
    "Miss",
    "Request",
    "Subject",
    "Why",
    "applying",
    "decide",
    "dry_runs",
    "failures",
]
