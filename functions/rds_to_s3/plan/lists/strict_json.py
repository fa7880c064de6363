"""JSON as operators write it, without what would be lost or changed on the way."""

from __future__ import annotations

import json
from typing import Any

NO_TEXT = "has an unpaired surrogate (such as \\ud83d) in a name or text: write the whole character"


def loads_strictly(document: str) -> Any:
    """Parse a JSON document; raise a ValueError for a key that occurs twice in an object, and for NaN and infinity."""
    return json.loads(document, object_pairs_hook=_refuse_repeated_keys, parse_constant=_refuse_constant)


def has_unpaired_surrogate(data: object) -> bool:
    """Whether a text in a JSON document has an unpaired surrogate, which JSON can write and UTF-8 cannot."""
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # json.loads keeps the last of two equal keys: a setting would disappear silently.
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {json.dumps(repeated)} occurs twice in one object")
    return result
