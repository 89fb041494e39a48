"""What AuthorizationPolicies decide about a request, read from the policies themselves.

*Facts* are what is known of a request or connection. A *policy* is for some workloads; those that are for one decide in an
order: CUSTOM asks a provider, DENY refuses, then, where there is any ALLOW policy, one of them must match; AUDIT and dry
runs only remark. A *rule* of a policy matches where one of its sources, one of its operations and all of its conditions
hold; each field that does not hold is a *failure*, and the rule with the fewest is the *nearest miss*.

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
