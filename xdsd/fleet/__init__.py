"""Several daemons on one store.

Each is a *member*, which the others see by a leased key. Any of them serves any proxy: they compile the same from the same,
and versions are made of content. *Singletons* are work that must be done once for all of them; whoever holds a singleton's
leased key does it: forgetting old audit records, and writing beside each object what is wrong with it (its *status*).
"""
