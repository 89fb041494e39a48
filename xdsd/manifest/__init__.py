"""Objects of intent as people and programs write them, read strictly: nothing is ignored, everything wrong is told.

A *document* is one part of a file; a *place* is the line of a value and of the values in it; a *path* leads to a
field; a *fault* is something wrong at a path, and becomes a problem once file and object are known. The stages:
``reading`` (text to plain values with places, hardened), ``envelope`` (metadata and kind), ``checking`` (a spec to
its message, by way of ``walking`` and ``telling``), ``canonical`` (an object back to plain values). ``rereading`` goes
through them with those documents of a file alone that are new in it. Everything here is pure: bytes in, values out.
"""

from xdsd.manifest.canonical import object_to_dict, spec_to_dict
from xdsd.manifest.envelope import AnyObject
from xdsd.manifest.limits import Limits
from xdsd.manifest.parsing import Manifest, ParsedObject, parse_manifest, parse_object
from xdsd.manifest.reading import too_large
from xdsd.manifest.rereading import Parts, Reread, reparse_manifest

__all__ = [
    "AnyObject",
    "Limits",
    "Manifest",
    "ParsedObject",
    "Parts",
    "Reread",
    "object_to_dict",
    "parse_manifest",
    "parse_object",
    "reparse_manifest",
    "spec_to_dict",
    "too_large",
]
