"""EnvoyFilter: patches to what this daemon compiled, applied last.

An EnvoyFilter holds *patches*. A patch names what it is applied to, matches some of it, and changes it with a *value*, a
message of Envoy's API written as JSON. ``values`` reads a value (``types`` finds its message, ``rules`` knows what Envoy
refuses), ``patches`` is a patch that was read, ``matching`` says what it is for, ``merging`` and ``inserting`` are what
patches do, and ``listeners``, ``routes``, ``clusters`` and ``bootstraps`` do it to one message of theirs. ``choosing``
finds the patches of a proxy, and ``checks`` tells owners what is wrong with theirs. Which resources of which layers are
patched, and that each is patched once for however many proxies, is ``xdsd.compile.layers.patched``'s business.

Patches are applied in the order in which Istio applies them: level by level (listener, filter chain, network filter, HTTP
filter), at each level what changes the list before what is merged into its members, and at each of these in the order of
the objects. Within a level an earlier object can therefore merge into what a later one adds.
"""
