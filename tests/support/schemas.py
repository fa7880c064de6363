"""The schemas that the project publishes."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any


def manifest_schema() -> dict[str, Any]:
    """Return the manifest's JSON Schema."""
    text = resources.files("rds_to_s3").joinpath("schemas/manifest-v1.schema.json").read_text()
    schema: dict[str, Any] = json.loads(text)
    return schema
