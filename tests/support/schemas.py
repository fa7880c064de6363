"""The schemas that the project publishes."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator


def manifest_schema() -> dict[str, Any]:
    """Return the manifest's JSON Schema."""
    text = resources.files("rds_to_s3").joinpath("schemas/manifest-v1.schema.json").read_text()
    schema: dict[str, Any] = json.loads(text)
    return schema


@cache
def _manifest_validator() -> Draft202012Validator:
    # `jsonschema.validate` would check the schema, too: that takes forty times as long as the document, each time.
    return Draft202012Validator(manifest_schema())


def validate_manifest(manifest: Any) -> None:
    """Raise `jsonschema.ValidationError` where a document is not a manifest."""
    _manifest_validator().validate(manifest)
