"""``xdsctl cert``: a proxy's own certificates, made where it runs, and the revocation of others'."""
