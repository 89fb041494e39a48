"""The outside world, seen through registries and joined into one catalog.

A *registry* watches a platform, its *source*, and reports to a *sink* what changes there; ``base`` is their contract. A
*service* is a host and its ports; a *workload* is a program instance, and its *endpoint* is what services see of it; a
*selector* chooses workloads by label. An *entry* is an object that declares a service or a workload (``entries``). What
several sources say of a service are its *parts*, which the ``catalog`` joins. What a platform forgets that loses its data is
*held* for a while (``holding``).
"""
