"""Machines that register themselves.

A proxy whose bootstrap names a WorkloadGroup (metadata ``AUTO_REGISTER_GROUP``) *claims* to be one of its machines, with an
address and what its stream proved. The *roll* is what this daemon knows of all this: groups, entries, and the claims of
those who are connected here. From what happens (an object changed, a machine came or left, a probe has found something) it
says what is to be written: it is pure, and its words are ``Write`` and ``Remove``. The *registrar* performs them.

An entry is a WorkloadEntry in the store, made from the group's template, that lives by a lease. While its machine is
connected that is the lease of the daemon that has the stream; when the machine leaves, one that runs out by itself after
the *grace* period. So a daemon that dies leaves its machines as they are for that long, and whichever daemon they
come back to takes them over. Each connection of a machine has a *turn*, and the highest is the newest: a
daemon that does not know yet that a machine went elsewhere lets go of its entry.

Readiness: a machine's own Envoy runs the group's *probe* and reports what it finds by Envoy's health discovery service, to
any daemon; it stands in the entry, so that all know it. Of a group without a probe it finds out whether somebody still
*listens* on the ports of its services; a machine on which nobody does any more is *deaf*.

Callers hear of all that, and of machines whose streams are over: these have left after a moment, and get requests as a
last resort. One that comes back is there again when it has taken its listeners, and not when its stream begins: until
then it would refuse connections.
"""
