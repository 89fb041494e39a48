"""Who calls the admin API, and what they may do.

A *caller* is known by a *method* (the Unix socket's peer, a client certificate, a bearer token, a password, or by none of
these) and has *bindings*: a *role* in some namespaces or in all. A role gives *rights*. Users with their bindings are kept
in the store.
"""
