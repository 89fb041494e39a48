"""The certificate authority: who is who, by certificates.

An *authority* is a certificate chain and the key of its first; it issues **SVIDs**, short-lived certificates of one
SPIFFE id each. *Roots* are what everybody trusts; the *bundle* is all of them. What is secret at rest is **sealed** with a
key that the store does not have.

``keys``, ``reading``, ``checking``, ``issuer`` and ``crl`` are pure: clock, serial and randomness come in as values.
``authority`` keeps roots in the store and hands them out.
"""
