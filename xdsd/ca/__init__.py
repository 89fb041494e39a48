"""The certificate authority: who is who, by certificates.

An *authority* is a certificate chain and the key of its first; it issues **SVIDs**, short-lived certificates of one
SPIFFE id each. *Roots* are what everybody trusts; the *bundle* is all of them. A *join token* lets its bearer be one
identity, a *revocation* shuts one out, and a *proof* is what a stream shows of who it is. What is secret at rest is
**sealed** with a key that the store does not have.

One root follows another by a *rotation*, in **steps**; how far each proxy and daemon is with it is its **standing**.

Other trust domains have authorities of their own: their *bundles* are **declared** by operators, or **brought** by other
parts of the daemon.

Pure, with clock, serials and randomness as values: ``keys``, ``reading``, ``checking``, ``issuer``, ``crl``, ``lists``,
``bundles``, ``roots``, ``plan``, ``rotation``, ``standing``, ``tokens``, ``revocations`` and ``service_accounts``.
``authority`` is what everybody asks for certificates and the bundle; its *source* is one of ``stored`` (roots in the store),
``files`` (an intermediate) and ``vault`` (a signer elsewhere). ``registers`` and ``ledger`` keep in the store who may join,
who is shut out and what was issued; ``proving`` decides. ``reporting`` tells the store how far everybody is with the roots,
and ``rotating`` takes a rotation's steps. ``listing`` gives proxies lists of what is revoked, ``federation`` joins whom to
trust, ``token_review`` asks a cluster whose a token is, and ``beginning`` begins anew where a key is lost.
"""
