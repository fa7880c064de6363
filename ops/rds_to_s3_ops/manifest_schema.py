"""Writes the manifest's JSON Schema from its model: ``python -m rds_to_s3_ops.manifest_schema``, in the checkout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rds_to_s3.reported.manifest import Manifest

FILE = Path("functions/rds_to_s3/schemas/manifest-v1.schema.json")
_HEAD = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "urn:rds-to-s3:manifest:1",
    "title": "Run manifest, version 1",
}
_OF_PYTHON = {"title", "default", "additionalProperties"}


def schema_text() -> str:
    """Return the schema as its file has it."""
    schema = json.loads(json.dumps(Manifest.model_json_schema()), object_hook=_plain)
    return json.dumps(_HEAD | schema, indent=1, ensure_ascii=False) + "\n"


def _plain(part: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in part.items() if name not in _OF_PYTHON}


if __name__ == "__main__":
    FILE.write_text(schema_text(), encoding="utf-8")
