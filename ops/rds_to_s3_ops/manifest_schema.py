"""Writes the manifest's JSON Schema from its model: ``python -m rds_to_s3_ops.manifest_schema``, in the checkout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from rds_to_s3.reported.manifest import Manifest

if TYPE_CHECKING:
    from pydantic_core import core_schema

FILE = Path("functions/rds_to_s3/schemas/manifest-v1.schema.json")


class _Plain(GenerateJsonSchema):
    """What the model says, without the names of its classes and the defaults of what is absent."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        made = super().model_schema(schema)
        return {key: value for key, value in made.items() if key not in {"title", "additionalProperties"}}


def schema_text() -> str:
    """Return the schema as its file has it."""
    head = {"$schema": GenerateJsonSchema.schema_dialect, "$id": "urn:rds-to-s3:manifest:1"}
    title = {"title": "Run manifest, version 1"}
    schema = Manifest.model_json_schema(schema_generator=_Plain)
    return json.dumps(head | title | schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(schema_text(), encoding="utf-8")
