"""xdsd: one daemon turns what operators declare and what platforms report into what every Envoy runs.

**Words.** *Intent* is what operators declare, in objects of Istio's published API. The *catalog* is what platforms report:
*services*, the *workloads* behind them and their *endpoints*. A *proxy* is an Envoy as its node says. A *view* is what
proxies must have in common to share their outbound config. A *resource* is one encoded Envoy message with the hash of its
content as its version; a *layer* is a set of resources that some proxies share; a proxy is served the union of a few
layers. The *snapshot* is all layers at one *generation*. A *problem* is a user's mistake as a value.

**Flow.** One direction, from values to values, with I/O at both ends::

    storage --watch--> intents --\\                                           /--> streams --> Envoy
                                  reconcile --> compile --> snapshot --> server
    registries --changes--> catalog /

- ``storage`` (beside this package) keeps keys with revisions in memory, a file or an etcd, and knows nothing of meshes.
- ``intents`` keeps objects in it: it admits what is written, records who wrote it, and tells what changed.
- ``fleet`` is what daemons on one store know of each other: its *members*, and *singletons*, work that one does for all.
- ``registry`` watches platforms; its ``catalog`` joins what all of them say. Some bring intent, or secrets, too.
- ``reconcile`` is the loop and the only writer: it takes changes in, lets them settle, compiles, publishes.
- ``compile`` is pure. Its ``graph`` remembers what every result was made from, so a change recompiles what it reaches and
  nothing else; its other modules each turn one model value into one Envoy message.
- ``authorization`` reads policies a second time, apart from ``compile``: what they decide about a request, and why.
- ``ratelimit`` counts requests of all proxies together, and says which are too many.
- ``jwks`` fetches the public keys of tokens' issuers, so that proxies never ask anybody.
- ``snapshot`` is the hand-over: encoded resources in layers, and what changed since when. Plain values; what is behind it
  could run in another process.
- ``protocol`` decides, without I/O or clock, what each stream is sent and when; ``server`` performs it on gRPC.
- ``secrets`` makes what streams of a proven identity are given, a key and certificate each, and renews it, and that by which
  sidecars stand in for servers outside; ``protocol`` keeps that apart from the snapshot, with the stream.
- ``registration`` keeps an entry in the store for each machine that registers itself, for as long as it is there.
- ``credentials`` keeps what operators give it for proxies to use, sealed, and says who may have which.
- ``peering`` decides what other meshes are told and what is taken from them; ``peers`` joins it to the streams of
  ``api.peering``, and to the catalog as a source for each peer.
- ``ca`` issues certificates, finds out who proves what, and lets one root follow another by steps that nobody is left behind
  in; ``identity`` joins it to the server's TLS ports.
- ``listening`` keeps the xDS ports over a restart, and ``watchdog`` tells a service manager that the loop turns, whose
  ``turns`` are short however many connections have something to say, and whose memory ``housekeeping`` tidies in short
  steps; ``answers`` reads what others say over HTTP, whole and within a limit.
- ``settings`` are what the daemon can be told, and ``config`` reads them from the places where they stand.
- ``model`` holds the values, ``manifest`` reads them from YAML, ``http`` and ``telemetry`` let the daemon be watched, and
  ``parts`` makes them as the settings want, and ``daemon`` joins everything, which ``__main__`` starts. ``analysis`` judges
  objects before a daemon has them, and ``demo`` is a small mesh to look at.
- ``api`` (beside this package) is the admin port and ``xdsctl``: ``access`` says who calls and what they may, ``services``
  answers, in ``services.etcd`` in etcd's words, and ``commands`` ask.

Imports point one way only; ``pyproject.toml`` lists the contracts and ``scripts/check`` enforces them.

**Rules that everything here keeps.** Cost follows the change, not the mesh: nothing is computed or encoded per proxy
that could be done per change. What goes on the wire is encoded once and never again. A mistake of a user's becomes a
problem and the rest goes on; only faults of our own raise. Where something is gone (a store, a registry, the daemon
itself), what was last known keeps serving.
"""
