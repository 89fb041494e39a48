"""The admin API from both sides: the servicers that the daemon hosts, a typed client, and ``xdsctl``.

An *object* is a piece of intent as operators write it. To *apply* is to create or replace objects in one
transaction. A *problem* is something a user got wrong; it travels inside ordinary responses. A *proxy* is a
connected Envoy, named by its node id. What each of them looks like on the wire stands in ``api/proto``.
"""
