"""What each layer of a snapshot is made of, as queries of the graph.

A *layer* (see ``xdsd.snapshot``) has *parts*: queries whose value is a tuple of *members*. A member names a resource and the
query that makes it; equal members of several layers are one cell, made and encoded once. A member without a type URL is
an ingredient: made ahead of the resources that join it, so that no single step is long.

A proxy has the layer of its *view* (what equal proxies may reach), that of its *workload* (what it serves), and that of
its *place*: the endpoints whose order depends on where it is, which alone would set proxies of a view apart. A proxy that
asks for its *replicas* has a layer for these too.
"""
