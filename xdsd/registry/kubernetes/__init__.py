"""Kubernetes clusters as sources of the catalog: one registry for each.

``options`` say which cluster is meant. ``facts`` reads objects of the ``kinds`` that services are made of, and ``state``
keeps what they mean together, step by step: ``programs`` are its pods and nodes, ``slices`` are looked up by these
(``index``), ``joining`` makes services of both, as ``endpoints`` says, and ``notes`` tell what is wrong. All of it is pure.
``login`` finds out where an API server is and who we are to it, ``api`` calls it, a ``watcher`` follows one ``collection``
of it, the ``reporter`` says what all see, and the ``registry`` runs them.

A cluster may come back without its memory: ``life`` finds that out, ``keeping`` says for how long what it had is kept, in
the daemon's next life too, ``missing`` what that is, ``held`` how it is written down, ``loss`` how it is told, and
``former`` what of it holds beside what the cluster says now.

What a cluster says beyond services is taken where it is wanted: its custom resources (``intent``), Ingresses (``ingress``,
``ingress_objects``, ``ingress_state``) and Secrets (``secrets``). What it is told in return is statuses alone (``statuses``,
``telling``). Which rights each takes stands in ``deploy/kubernetes``.
"""

from xdsd.registry.kubernetes.options import Cluster

__all__ = ["Cluster"]
