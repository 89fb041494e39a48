"""The xDS transport protocol without any I/O: what to answer to whom, and when.

A **stream** (``stream.Stream``) is one gRPC stream of one proxy. It is told *events* (``events``: a request was
received, the snapshot moved, the last response was written, time passed) and answers with *commands* (``commands``:
send this, wake me then, close). Whoever owns the socket performs commands; nothing here blocks, reads a clock or
knows gRPC. Logging and counting are commands too.

The streams of one server share an **exchange** (``exchange.Exchange``): it looks at the snapshot for them, knows who
asked for what, and keeps finished bytes.

A **variant** is one of the two dialects, ``delta`` and ``sotw``. An *aggregated* stream carries all types, any other
stream just one.

A **watch** is what a stream has asked of one type: its *interest* (names, a wildcard, or both), how far its proxy is,
and what deviates from that. A proxy without deviations is described by one number, the *generation* of the snapshot
that it has; a watch that is up to date does not even keep that. Deviations are:

- ``again``: names that are sent although nothing changed, because the proxy asked or must have them again;
- ``forgotten``: names that the proxy is told are gone, as it let go of what they belong to; ``orphans``: names that are
  gone, but not said to be while it has not (``hosts``);
- ``whole``: everything of interest is sent, to a proxy that has nothing;
- ``known``: the versions that a reconnecting proxy says it has;
- ``moved``: the layers that the proxy had before it was assigned to others;
- ``held``: clusters that are gone but not yet removed, as an older route may still use them;
- ``rejected``: contents that this proxy refused, never offered again; ``trials``: contents sent together with one of
  them, offered again in smaller portions until the bad one stands alone.

A **part** is what one layer has to say to one interest since one generation. It is looked up and joined to bytes once
for all streams that need the same, so a response is a few finished parts and a nonce. An **offer** is a list of parts
and of removed names, ready to be sent; while it is neither accepted nor rejected it is in **flight**. A type has one
response in flight; what changes meanwhile merges into the next one.

A **gate** holds an offer back, never longer than ``Timing.gate``: listeners, routes and virtual hosts wait until the proxy
accepted the clusters (its acceptance says that they are warm), and a cluster goes away only after the routes and listeners
that dropped it were accepted. Endpoints and secrets never wait: clusters cannot warm without them.
"""
