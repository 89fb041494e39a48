"""Many meshes: what a daemon offers to others of its kind, and what it takes from them.

**Words.** A *peer* is another mesh with a daemon, a store, registries and an authority of its own; a Peer object says
that it is there, and is named as the other mesh calls itself. What is *shared* of a service is its ports, who answers,
and a *summary* of its endpoints for each locality; never an endpoint. A *gateway* leads from one mesh into another: it
passes mutual TLS through by its server name. The *global name* of a service is ``NAME.NAMESPACE.global``, and means the
same in all meshes.

**Shape.** One direction, twice: each side dials the other and subscribes to what is offered there. So either side may be the
only one that can be dialled; it then offers and takes nothing::

    catalog --> summaries --> offer (log with generations) --> delivery --> stream --> intake of the other side
                                                                                          |
    catalog <-- global names (a source of the catalog for each peer, "peer:NAME") <-------+--> bundles, to the CA's
    federation

- ``values`` is what both sides speak of, apart from how it is encoded (``api.peering.wire``).
- ``summaries`` makes what is shared of a service; only what is declared here has a name that can be shared, so what a peer
  offers is never offered on: there are no loops.
- ``offer`` is what one peer may know of, in the order in which it changed, and ``delivery`` what of it a stream still
  lacks. A flip costs one summary, whatever else is offered. A stream that begins again goes on where it was (epoch and
  generation).
- ``judging`` refuses what a peer may not say: services that were not asked for, identities of other trust domains or
  namespaces, more than the bounds.
- ``intake`` is what is known of a peer: taken from its stream, kept for ``keepFor`` without one, then gone.
- ``names`` makes services of the catalog for global names: a part of the local service, and one for each peer that has
  it, whose endpoints are the peer's gateways. From there on they are services like others: sidecars resolve them,
  DestinationRules are for them, and callers check that who answers is of the peer's trust domain and the service's
  account.
- ``vouching`` finds out which peer calls: its trust domain's own authorities signed the certificate, and no one else's.

**Decisions.** The peering port is apart from those of xDS, so that these trust nobody new. A peer vouches for its own trust
domain alone, and says by its bundle whom it trusts next, so a root may rotate while the stream is there. Which locality is
preferred, percents across meshes, and "remote only" are said by a DestinationRule for the global name
(``localityLbSetting``); a Residency keeps a namespace's services in regions, by leaving others out of the catalog, and so
wins over every failover.
"""
