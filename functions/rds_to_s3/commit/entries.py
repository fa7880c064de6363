"""A table's entry in a manifest, its files, and the entries that no manifest has reported yet.

These models and `rds_to_s3.reported.manifest` are the manifest's only description. The published JSON Schema is
generated from them. A member with a default is optional: it is written only where it was set. The constraints in
`WithJsonSchema` are in the schema only: reading a document accepts what another release wrote, and keeps its other
members.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    SkipValidation,
    WithJsonSchema,
    model_serializer,
)

FILE_KINDS = ("files", "quarantine", "deletes", "superseded")
"""The lists of files in a table's entry."""

Count = Annotated[int, WithJsonSchema({"type": "integer", "minimum": 0})]
Seconds = Annotated[float, WithJsonSchema({"type": "number", "minimum": 0})]
Name = Annotated[str, WithJsonSchema({"type": "string", "minLength": 1})]
# Not validated: an unforeseen error's message may have an unpaired surrogate, which pydantic refuses as text.
AnyText = Annotated[SkipValidation[str], WithJsonSchema({"type": "string"})]
AnyName = Annotated[SkipValidation[str], WithJsonSchema({"type": "string", "minLength": 1})]
Timestamp = Annotated[
    str, WithJsonSchema({"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}(\.\d{1,6})?$"})
]
Status = Literal["SUCCEEDED", "FAILED", "UNCHANGED", "SKIPPED"]
Mode = Literal["incremental", "full", "compare"]
DriftKind = Literal[
    "added", "dropped", "renamed", "widened", "narrowed", "retyped", "nullability", "reordered", "where"
]


class Document(BaseModel):
    """A document that is stored as JSON."""

    model_config = ConfigDict(extra="allow", serialize_by_alias=True, validate_by_name=True, validate_by_alias=True)

    @classmethod
    def from_json(cls, body: bytes) -> Self:
        """Read a document; raise a ValueError with the reason where it is not one."""
        return cls.model_validate(json.loads(body))

    def to_json(self, indent: int | None = None) -> bytes:
        """Write it. An unpaired surrogate becomes its escape: the document must be written."""
        return json.dumps(self.model_dump(), ensure_ascii=False, indent=indent).encode(errors="backslashreplace")

    def has(self, member: str) -> bool:
        """Whether a member is in the JSON."""
        return member in self.model_fields_set

    @model_serializer(mode="wrap")
    def _without_unset(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        unset = type(self).model_fields.keys() - self.model_fields_set
        return {name: value for name, value in handler(self).items() if name not in unset}


class FileEntry(Document):
    """One file in the bucket."""

    key: Name
    rows: Count
    bytes: Count
    sha256: Annotated[str, WithJsonSchema({"type": "string", "pattern": "^[0-9a-f]{64}$"})]
    columns: list[Name] = Field([], description="Its columns, in its order, where they are not those of the entry.")
    sequence: Count = Field(0, description="The commit that made it, where that is not the commit of the entry.")


class WindowEntry(Document):
    """The window of a table's extract: row versions stamped after `after`, up to `until` and a little later."""

    after: Timestamp | None = Field(description="The watermark before; null on a first run.")
    until: Timestamp | None = Field(description="The watermark after.")


class ErrorEntry(Document):
    """Why a table failed, or the run."""

    type: AnyName = Field(description="The error's class, or the name that AWS gave it.")
    message: AnyText = Field(description="What is wrong and what to do. Never a secret.")

    def __str__(self) -> str:
        """Return both in one line."""
        return f"{self.type}: {self.message}"


class ColumnEntry(Document):
    """A column of the files."""

    name: Name
    type: Name = Field(description="As MySQL writes it.")
    nullable: bool


class ProofEntry(Document):
    """The result of comparing the table with the delivered rows."""

    rows: Count = Field(description="Rows that this run compared.")
    healed: Count = Field(description="Of these, rows that differed and were delivered again; counted in `rows` too.")
    gone: Count = Field(description="Delivered keys that were found gone.")
    whole_until: Timestamp | None = Field(description="The whole table is proved equal up to then; null before.")


_SENTENCES = {
    "added": "column {column} {after} was added",
    "dropped": "column {column} {before} was dropped",
    # In the catalogue a rename looks like a DROP and an ADD of the same type in the same place.
    "renamed": "column {before} is gone, and column {after} of the same type is in its place: it was renamed, or "
    "dropped and another one added",
    "nullability": "column {column} was {before} and is {after}",
    "reordered": "the columns have another order: {after}",
    "where": "the where was {before} and is {after}. Rows that no longer fulfil it count as deleted, where deletes are "
    "tracked. Rows that fulfil it now and did not before are delivered when their stamp moves, or by the proof unless "
    "it begins in this run; rds-to-s3 rewind TABLE --all delivers them in the next run",
}


class DriftEntry(Document):
    """One difference between the columns of a table and those at its last commit."""

    change: DriftKind
    column: Name = Field(description="Its name now; of a dropped one the name it had; * for the table's `where`.")
    before: str | None = Field(alias="from", description="Type, nullability, or of a renamed column its name.")
    after: str | None = Field(alias="to")

    def sentence(self) -> str:
        """Return the change as a sentence."""
        form = _SENTENCES.get(self.change, "column {column} was {change} from {before} to {after}")
        before, after = self.before, self.after
        if self.change == "where":
            before, after = (json.dumps(text, ensure_ascii=False) if text else "none" for text in (before, after))
        return form.format(change=self.change, column=self.column, before=before, after=after)


_FAILED_HAS_ERROR: dict[str, Any] = {
    "if": {"properties": {"status": {"const": "FAILED"}}},
    "then": {"properties": {"error": {"type": "object"}}},
    "else": {"properties": {"error": {"type": "null"}}},
}
_NOTHING_HAS_NO_ROWS: dict[str, Any] = {
    "if": {"properties": {"status": {"enum": ["UNCHANGED", "SKIPPED"]}}},
    "then": {"properties": {"files": {"maxItems": 0}, "rows": {"const": 0}}},
}


class TableEntry(Document):
    """One table in a manifest, and in ``_state/runs/{run_id}/tables/{table}.json``.

    UNCHANGED: the window had no row, and no file was written. SKIPPED: another execution holds the table or already
    covered the window.
    """

    model_config = ConfigDict(json_schema_extra={"allOf": [_FAILED_HAS_ERROR, _NOTHING_HAS_NO_ROWS]})

    table: Name
    mode: Mode = Field("incremental", description="full: these files replace what was delivered before.")
    status: Status
    rows: Count = Field(description="Rows in the files.")
    source_rows: Count = Field(description="Rows that the database counted as sent.")
    window: WindowEntry
    format: Literal["csv", "parquet"]
    attempts: Count = Field(description="Invocations after a failure included.")
    seconds: Seconds
    readers: Count = Field(1, description="Connections that read the table side by side.")
    proof: ProofEntry | None = Field(None, description="Null where nothing is proved.")
    files: list[FileEntry]
    columns: list[ColumnEntry]
    key: list[Name] = Field([], description="The columns of a key without NULLs. Empty if the files lack one of them.")
    warnings: list[str]
    error: ErrorEntry | None
    quarantined_rows: Count = Field(0, description="Rows that broke a check and were set aside.")
    quarantine: list[FileEntry] = Field([], description="The files with these rows, and the reason in an added column.")
    deleted_rows: Count = Field(0, description="Delivered keys that are gone from the table, where that is tracked.")
    deletes: list[FileEntry] = Field([], description="The files with these keys.")
    superseded: list[FileEntry] = Field(
        [], description="Files of stopped runs, replaced by the full extraction in `files`: do not load them."
    )
    drift: list[DriftEntry] = Field([], description="How the columns differ from those at the table's last commit.")
    redrive: Count = Field(0, description="The redrive of the run that made the entry; 0 before the first.")
    invocations: Count = Field(1, description="Invocations for the table, continuations included.")
    finished_at: str = Field("", description="When the extraction of the table ended, UTC.")
    sequence: Count = Field(
        0,
        description="The commit's place in the order of the table's commits: a later commit has a greater number. A "
        "loader applies them in this order, each once.",
    )

    @property
    def is_whole(self) -> bool:
        """Whether its files have every row of the table, so that they replace what was delivered before."""
        return self.mode == "full" or self.window.after is None

    @property
    def every_file(self) -> list[FileEntry]:
        """All files in the entry, of every kind."""
        return [*self.files, *self.quarantine, *self.deletes, *self.superseded]

    @property
    def keys(self) -> list[str]:
        """Their keys."""
        return [file.key for file in self.every_file]

    @property
    def bytes(self) -> int:
        """The bytes of its files of rows."""
        return sum(file.bytes for file in self.files)

    @property
    def names(self) -> list[str]:
        """The names of its columns."""
        return [column.name for column in self.columns]

    def but(self, **changes: Any) -> TableEntry:
        """Return the entry with other members."""
        return self.model_copy(update=changes)

    def with_files(self, files: Mapping[str, Sequence[FileEntry]], **changes: Any) -> TableEntry:
        """Return the entry with other files by kind, and with their counts of rows."""
        entry = self.but(**files, **changes)
        entry.rows = _rows(entry.files)
        for count, kind in (("quarantined_rows", "quarantine"), ("deleted_rows", "deletes")):
            if entry.has(kind):
                setattr(entry, count, _rows(getattr(entry, kind)))
        entry.source_rows = entry.rows + entry.quarantined_rows
        return entry


def _rows(files: Iterable[FileEntry]) -> int:
    return sum(file.rows for file in files)


class Unreported(BaseModel):
    """What a commit has to report, in the manifest of its run or, if that run was stopped, of a later one.

    Attributes
    ----------
    run_id, planned_at
        Of the run that committed it.
    record : TableEntry
        The table's entry for a manifest.
    """

    model_config = ConfigDict(extra="forbid")

    run_id: str
    planned_at: float
    record: TableEntry

    @property
    def keys(self) -> list[str]:
        """The keys of its files, of every kind."""
        return self.record.keys
