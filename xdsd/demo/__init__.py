"""The Bookinfo demo: a small mesh of real Envoys on loopback, started and stopped as one, without root.

An *instance* is one of our own few-line services (productpage, details, reviews v1 v2 v3, ratings) with an
Envoy beside it. It has a loopback address of its own, so that every instance can use the same ports: its
Envoy takes what arrives at the service port there, and the instance sends its own calls to the HTTP proxy
port there. The *gateway* is an Envoy that browsers talk to. The *layout* says, before anything runs, which
address and port everything will use. A *program* is a child process of the demo; it dies with it, however
the demo dies.
"""
