"""Benchmarks. ``scripts/bench NAME [--json]`` prints figures, each with its floor or comparison from the same run.

The server is a process pinned to one core and the load another process on the other core. The floor is a bare grpc.aio
server (``floor``) that pushes the same bytes to the same clients and reads their ACKs. Clients speak HTTP/2 by hand
(``http2``): a client library would cost more than the server under test and hide it.
"""
