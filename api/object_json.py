"""Objects as they are sent: the JSON that is published of them."""

import json
from collections.abc import Mapping

from xdsd.manifest import AnyObject, object_to_dict


def object_json(obj: AnyObject, status: Mapping[str, object] | None = None) -> bytes:
    """The object as it is published, fields in the order of their declaration, and its status if there is one."""
    made = {**object_to_dict(obj), **({"status": status} if status else {})}
    return json.dumps(made, ensure_ascii=False).encode()
