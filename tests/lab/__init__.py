"""The lab: real programs for tests, each started on free ports and stopped by its own id.

``Envoy`` is a proxy, ``Daemon`` is ``xdsd serve`` as a process, ``Load`` is traffic that never stops,
``eventually`` waits for a condition. A part that the machine lacks makes a test skip by name and reason;
in CI it fails.
"""
