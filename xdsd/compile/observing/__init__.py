"""What proxies tell of the requests and connections that pass them, as Telemetry says: access logs and spans.

A *side* is on which end of a request a proxy is: a sidecar takes requests in as SERVER, and sends its program's as CLIENT,
as gateways do. ``merging`` lays what is closer over what is wider, ``logs`` and ``spans`` write Envoy's messages, and
``applying`` puts them into listeners.
"""
