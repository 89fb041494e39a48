"""Limits on requests, as filters of an HTTP connection manager.

A RateLimit without targets is for all requests of a listener (*listener scope*), one with targets for those of some routes
(*route scope*). Limits on the same *terms* (whom they ask, what they answer, how strict they are) share a filter; filters
of route scope are switched off but where a route switches them on.

*Local* limits are token buckets that live in the filter, not in the routes: an update of routes, which is frequent, would
fill them again. What filters are told comes by discovery of its own, so that only the first and the last limit on some
terms change a listener. *Global* limits keep nothing in the proxy; those of route scope travel with the routes.

A *descriptor* is a list of keys and values that a request has. Local buckets and the limiter's counters are found by it.
The limiter is the daemon itself, over the connection by which proxies get their config, or a service that is set.

Turned down: the answer's body from the limiter (local limits have none, and other services cannot know it); the filters
in every chain, ready to be switched on (they would cost every request of every mesh).
"""
