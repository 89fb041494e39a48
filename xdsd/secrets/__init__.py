"""The secrets that proxies are given: each its own key and certificate, and whom to trust.

A *lease* is what one stream of a proven identity is given for as long as it lasts: the secret ``default`` (a fresh key and
an X.509-SVID of the identity) and the secret ``ROOTCA`` (the roots). Keys are made here, in memory, for one stream each;
no file, log, metric or snapshot ever holds one, and nothing here remembers it once the stream has it but the stream.

A certificate is *renewed* at about half of its life, at a time that is a little random, so that proxies that came together
do not renew together, and a daemon that is away for less than the other half is not missed. Where it cannot be issued the
proxy keeps what it has, and it is tried again.

``schedule`` and ``messages`` are pure; ``keeper`` makes and renews.
"""
