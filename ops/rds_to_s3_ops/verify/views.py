"""The output of ``rds-to-s3 verify``. Data in, text out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rds_to_s3_ops.verify.comparison import KINDS, Reconciliation
from rds_to_s3_ops.verify.unreported import described, remedy

if TYPE_CHECKING:
    from rds_to_s3_ops.verify.verification import Verification

_MEANS = {
    "missing": "in the table, in no file",
    "different": "the newest file and the table differ",
    "extra": "only in the files: deleted since, or never in the table",
    "deleted": "deleted, according to a deletes file",
    "quarantined": "in a quarantine file, equal to the table",
    "pending": "the next run will read them",
}
SHOWN = 3


def verification_lines(result: Verification, shown: int | None = SHOWN) -> Iterator[str]:
    """Yield the lines to print.

    Parameters
    ----------
    shown : int or None
        The maximum number of keys of each kind; None shows all in the result. More than a few are printed one a
        line.
    """
    state = f"{len(result.broken)} of them differ from the manifest" if result.broken else "equal to the manifest"
    yield f"{result.files} files, {result.rows:,} rows, {result.bytes:,} bytes: {state}"
    for check in result.broken:
        yield f"  {check.key} (run {check.run_id}): {'; '.join(check.problems)}"
    yield from (f"  {step}" for step in result.again)
    if result.left_out:
        yield f"left out: {result.left_out}"
    if result.unreported:
        yield described(result.unreported)
        yield f"  {remedy(result.unreported)}"
    for table in result.tables:
        yield from _table_lines(table, fine=table.is_fine(extra_is_fine=result.extra_is_fine), shown=shown)
    found = "something differs" if result.differs else "nothing differs"
    if result.not_compared:
        found = f"{found} in what was compared; not compared: {', '.join(result.not_compared)}"
    yield found


def _table_lines(table: Reconciliation, *, fine: bool, shown: int | None) -> Iterator[str]:
    if table.error:
        yield f"{table.table}: not compared: {table.error}"
        return
    yield (
        f"{table.table}: {'fine' if fine else 'DIFFERS'}: {table.source_rows:,} rows in the table, "
        f"{table.delivered_rows:,} in {table.files} files, {table.equal:,} equal"
    )
    for kind in KINDS:
        if table.counts[kind]:
            keys = [_key_text(key) for key in table.samples.get(kind, [])[:shown]]
            in_line = f", such as {', '.join(keys)}" if 0 < len(keys) <= SHOWN else ""
            yield f"  {table.counts[kind]:,} {kind}: {_MEANS[kind]}{in_line}"
            if not in_line:
                yield from (f"    {key}" for key in keys)
    for note in table.notes:
        yield f"  note: {note}"


def _key_text(key: dict[str, Any]) -> str:
    return "(" + ", ".join(f"{name}={value}" for name, value in key.items()) + ")"
