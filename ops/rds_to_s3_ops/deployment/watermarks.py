"""Rewinds a table: its current watermark, and the effect of a new one. Pure except for the write."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from rds_to_s3.bucket_keys import watermark_key
from rds_to_s3.timestamps import Watermark
from rds_to_s3.wording import did_you_mean
from rds_to_s3_ops.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from rds_to_s3.plan.table_list import TableList
    from rds_to_s3.s3.objects import StoredObject
    from rds_to_s3_ops.deployment.bucket import Bucket

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class Rewind:
    """A prepared change of one table's watermark.

    Attributes
    ----------
    table : str
    key : str
        The key of the watermark's object.
    stored : StoredObject or None
        The current object; None if it does not exist.
    target : Watermark or None
        The new watermark; None to extract everything again.
    present : datetime or None
        The upper bound of what has been extracted, if known.
    """

    table: str
    key: str
    stored: StoredObject | None
    target: Watermark | None
    present: datetime | None = None

    @property
    def was(self) -> str:
        """The current watermark as text: the file's content, even if malformed."""
        return self.stored.body.decode("utf-8", "replace").strip()[:60] if self.stored else ""

    @property
    def skips_rows(self) -> bool:
        """Whether the watermark would move forward and skip rows."""
        return self.target is not None and (self.present is None or self.target.moment > self.present)

    def explain(self) -> list[str]:
        """Return the old and the new watermark, and the effect."""
        will = self.target.text if self.target else "nothing"
        lines = [f"{self.table}: the watermark is {self.was or 'not set'} and becomes {will} ({self.key})"]
        if self.target is None:
            lines.append("The next run extracts the whole table again.")
        elif self.skips_rows:
            lines.append(
                f"This moves it FORWARD: rows stamped up to {will}, or up to the next run if that is earlier, "
                "that were not extracted yet will never be extracted."
            )
        else:
            lines.append(f"The next run extracts again every row stamped after {will}.")
        lines.append("Files that are already in the bucket stay.")
        return lines

    def apply(self, bucket: Bucket) -> None:
        """Write it, unless someone moved the watermark since it was read.

        Raises
        ------
        ConflictError
        """
        bucket.replace(self.key, self.target.text.encode() if self.target else b"", self.stored)

    def as_json(self) -> dict[str, object]:
        """Return what ``rewind --json`` prints."""
        return {
            "table": self.table,
            "key": self.key,
            "was": self.was or None,
            "is": self.target.text if self.target else None,
        }


def prepare_rewind(bucket: Bucket, table_list: TableList, table: str, target: Watermark | None) -> Rewind:
    """Read a table's watermark and prepare its change.

    Raises
    ------
    NotFoundError
        The table is not listed, so no run would read its watermark.
    """
    spec = next((listed for listed in table_list.resolve([table]) if listed.name == table), None)
    if spec is None:
        meant = did_you_mean(table, (listed.name for listed in table_list.tables))
        raise NotFoundError(f"table {table!r} is not listed{meant}: see `rds-to-s3 tables list`")
    if spec.mode == "full":
        raise InvalidInputError(f"table {table!r} is extracted in full by every run: there is nothing to rewind")
    key = watermark_key(table, spec.format)
    stored = bucket.read(key)
    present = None
    if target is not None and stored is not None:
        try:
            watermark = Watermark.parse(stored.body)
            present = watermark.moment if watermark else None
        except ValueError:  # then the last commit has it
            commit = bucket.table_state(table, spec.format).commit
            present = datetime.fromisoformat(commit.watermark) if commit else None
    return Rewind(table, key, stored, target, present)


def parse_target(text: str) -> Watermark:
    """Parse the operator's timestamp; a date alone means its midnight.

    Raises
    ------
    InvalidInputError

    Examples
    --------
    >>> parse_target("2025-04-02").text
    '2025-04-02 00:00:00'
    """
    if _DATE.fullmatch(text.strip()):
        text = f"{text.strip()} 00:00:00"
    try:
        parsed = Watermark.parse(text.encode())
    except ValueError:
        parsed = None
    if parsed is None:
        raise InvalidInputError(
            f"{text!r} is not a timestamp: write YYYY-MM-DD HH:MM:SS in the database's own zone, in quotes, or --all"
        )
    return Watermark.at(parsed.moment)
