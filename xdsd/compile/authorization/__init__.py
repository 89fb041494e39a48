"""AuthorizationPolicies and RequestAuthentications as filters in front of workloads and gateways.

A listener names its filters (their *heads*) and gets what they are told by discovery (ECDS), so that a change of policy
leaves the listener and its connections alone: it holds for the next request on any of them, and for the next connection
where they are not HTTP. The heads of tokens, DENY and ALLOW are in every listener that may be guarded, told nothing until
there is a policy; those of AUDIT and of providers come and go with the first and the last such policy.

What a head is told is a *guard*. A head that is told nothing yet keeps the listener warming, and one whose guard went away
refuses: nothing is opened by failure.

Turned down: policies in the listener itself, as istiod writes them (each change drains the workload's connections).
"""
