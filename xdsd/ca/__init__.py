"""The certificate authority: who is who, by certificates.

An *authority* is a certificate chain and the key of its first; it issues **SVIDs**, short-lived certificates of one
SPIFFE id each. *Roots* are what everybody trusts; the *bundle* is all of them. What is secret at rest is **sealed** with a
key that the store does not have.

``keys``, ``reading``, ``checking``, ``issuer``, ``crl`` and ``roots`` are pure: clock, serial and randomness come in as
values. ``authority`` is what everybody asks for certificates and the bundle; its *source* is one of ``stored`` (roots in the
store), ``files`` (an intermediate) and ``vault`` (a signer elsewhere).
"""
