"""Consul as a source: the instances that its catalog has, and what its checks say of them.

A Consul *service* is a name; its *instances* run on *nodes*, which *agents* report. Instances carry *tags* and *meta*,
and *checks* say how instances and nodes are. ``options`` say how one Consul is asked and read, ``client`` asks it,
``answers`` are what it says, as values that are checked, ``facts`` what each instance comes to, of which only those
that differ are read again, ``instances`` and ``services`` turn these into endpoints and services of the mesh. ``book``
knows what was told, and what is *lost*: forgotten by a Consul that came back without it; ``holding`` keeps that until
its time is over, ``held`` is how it is written down. What a token may not read is *hidden*: Consul leaves it out
without a word. ``listing`` asks for the names of services, ``life`` whether this is still the same Consul, ``judging``
decides what of an answer is believed, ``turnstile`` how much is worked on at once, and ``registry`` keeps all of it
current.

One *blocking query* lists the names of services, and each service has one of its own, which Consul answers when that
service changes: a change costs what it touches, however many services there are. That takes a connection a service.
Where an agent allows fewer, the rest is swept: read in turn whenever something changed. The alternatives were worse: one
query of all checks answers 100,000 of them at each change of one, and no documented query tells which instance came.
"""

from xdsd.registry.consul.options import Addressing, Consistency, ConsulOptions, Hosts, Warned, source_name

__all__ = ["Addressing", "Consistency", "ConsulOptions", "Hosts", "Warned", "source_name"]
