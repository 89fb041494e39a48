"""A restart of the daemon under proxies that say what they have: nothing is sent again."""

from typing import Any

from tests.bench.control import Worker


def noop(proxies: int = 1000, services: int = 250) -> dict[str, Any]:
    """Resources sent to proxies that resume, and for comparison to the same proxies when they were new.

    What a client says of so many services fits into its first HTTP/2 window, which is as far as ours goes.
    """
    with Worker("tests.bench.serving", 0, services=services) as server:
        port = server.order("port")
        with Worker("tests.bench.load", 1, port=port, names=services, clusters=True) as load:
            load.order("connect", count=proxies)
            load.order("idle", seconds=1)
            new = server.order("usage")["resources"]
            server.__exit__(None, None, None)
            with Worker("tests.bench.serving", 0, services=services, port=port) as restarted:
                restarted.order("port")
                before = restarted.order("usage")
                resumed = load.order("resume")
                load.order("idle", seconds=3)
                after = restarted.order("usage")
    return {
        "proxies": proxies,
        "services": services,
        "resumed": resumed["connected"],
        "lost": resumed["lost"],
        "resources_sent_to_new": new,
        "resources_sent_to_resumed": after["resources"] - before["resources"],
        "cpu_us_a_proxy": round((after["cpu"] - before["cpu"]) / proxies * 1e6, 1),
    }
