"""Compares the digests of table and files by key, in DuckDB.

The files are ordered by window. For each key the newest row version counts. A delete or a quarantined version counts
only if it is not older. If two windows end in the same second, their keys do not show the order; then either order is
accepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

WINDOW_BITS = 32
"""A file's position has its part in this many low bits, and the window's number above them."""
KINDS = ("missing", "different", "extra", "deleted", "quarantined", "pending")
"""The results for a key that is not equal. All but `pending`, `deleted` and `quarantined` are errors."""


@dataclass
class Reconciliation:
    """The result of comparing one table.

    Attributes
    ----------
    key : list of str
        The columns that match rows; empty if whole rows were counted.
    source_rows, delivered_rows : int
        Rows of the table, and different keys in its files; without a key, their rows.
    counts : dict
        How many of each of `KINDS`: *missing* from the files, *different* in them, *extra* since only they have it,
        *deleted* since a deletes file says so, *quarantined* since that version of it is in quarantine, *pending*
        since the next run reads it again.
    samples : dict
        Keys of each kind, up to the requested number.
    error : str or None
        Why the table could not be compared; then the counts are meaningless.
    """

    table: str
    format: str
    key: list[str]
    files: int = 0
    source_rows: int = 0
    delivered_rows: int = 0
    equal: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    samples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    error: str | None = None

    def differs(self, *, extra_is_fine: bool = False) -> bool:
        """Whether the files differ from the table."""
        wrong = ("missing", "different") if extra_is_fine else ("missing", "different", "extra")
        return self.error is None and any(self.counts[kind] for kind in wrong)

    def is_fine(self, *, extra_is_fine: bool = False) -> bool:
        """Whether the table was compared and does not differ."""
        return self.error is None and not self.differs(extra_is_fine=extra_is_fine)

    def as_json(self) -> dict[str, Any]:
        """Return what ``verify --json`` prints."""
        return {
            "table": self.table, "format": self.format, "key": self.key, "files": self.files,
            "source_rows": self.source_rows, "delivered_rows": self.delivered_rows, "equal": self.equal,
            **self.counts, "samples": self.samples, "notes": self.notes, "error": self.error,
        }  # fmt: skip


def compare(
    duck: Any, key: Sequence[str], layouts: int, result: Reconciliation, *, whole: bool, samples: int | None
) -> None:
    """Fill in the result.

    Parameters
    ----------
    duck : DuckDBPyConnection
        Holds what `rds_to_s3_ops.verify.reading.digests.Digests` has put there.
    layouts : int
    whole : bool
        Whether the files are one read of the whole table. Then each row is in them once, even without a key.
    samples : int or None
        How many keys of each kind to list; None lists all.
    """
    result.source_rows = _count(duck, "source")
    if not key:
        _compare_whole_rows(duck, layouts, result, whole=whole)
        return
    _newest_of_each(duck, len(key))
    result.delivered_rows = _count(duck, "newest")
    _compare_keys(duck, len(key), layouts)
    names = _names(len(key))
    for kind, count in duck.execute("SELECT kind, COUNT(*) FROM compared GROUP BY kind").fetchall():
        if kind == "equal":
            result.equal = count
            continue
        result.counts[kind] = count
        rows = duck.execute(
            f"SELECT {names} FROM compared WHERE kind = ? ORDER BY {names} LIMIT ?",  # noqa: S608
            [kind, count if samples is None else samples],
        ).fetchall()
        result.samples[kind] = [dict(zip(key, row, strict=True)) for row in rows]
    if tied := _count(duck, f"newest JOIN gone USING ({names}, in_window)"):
        keys = "1 key is" if tied == 1 else f"{tied:,} keys are"
        result.notes.append(
            f"{keys} both in the rows and in the deletes of windows that end in the same second: either order of the "
            "two was taken for right"
        )


def _newest_of_each(duck: Any, keys: int) -> None:
    names = _names(keys)
    for newest, found in (("newest", "delivered"), ("aside", "quarantine")):
        duck.execute(
            f"CREATE TABLE {newest} AS SELECT {names}, MAX(position) >> {WINDOW_BITS} AS in_window, "  # noqa: S608
            f"ARG_MAX(layout, position) AS layout, ARG_MAX(digest, position) AS digest FROM {found} GROUP BY {names}"
        )
    duck.execute(
        f"CREATE TABLE gone AS SELECT {names}, MAX(position) >> {WINDOW_BITS} AS in_window "  # noqa: S608
        f"FROM deletes GROUP BY {names}"
    )


def _compare_keys(duck: Any, keys: int, layouts: int) -> None:
    names = _names(keys)

    def is_the_source(side: str) -> str:
        cases = "".join(f"WHEN {number} THEN s.d{number} " for number in range(layouts))
        return f"{side}.digest = CASE {side}.layout {cases}END" if layouts else "FALSE"

    # A missing window sorts before all others.
    row, delete, set_aside = (f"COALESCE({side}.in_window, -1)" for side in "ngq")
    duck.execute(
        f"CREATE TABLE compared AS SELECT {names}, CASE "  # noqa: S608
        f"WHEN s.pending IS NULL THEN CASE WHEN {delete} >= {row} THEN 'deleted' ELSE 'extra' END "
        f"WHEN {is_the_source('n')} AND {row} >= {delete} THEN 'equal' "
        f"WHEN {is_the_source('q')} AND {set_aside} >= GREATEST({row}, {delete}) THEN 'quarantined' "
        "WHEN s.pending THEN 'pending' "
        # A reader that has applied the deletes has no such row.
        f"WHEN {row} = -1 OR {delete} > {row} THEN 'missing' ELSE 'different' END AS kind "
        f"FROM newest n FULL JOIN source s USING ({names}) LEFT JOIN gone g USING ({names}) "
        f"LEFT JOIN aside q USING ({names})"
    )


def _compare_whole_rows(duck: Any, layouts: int, result: Reconciliation, *, whole: bool) -> None:
    """Count how often each row is in the table and in the files."""
    result.delivered_rows = _count(duck, "delivered")
    for counted, found in (("held", "delivered"), ("aside", "quarantine")):
        duck.execute(
            f"CREATE TABLE {counted} AS SELECT layout, digest, COUNT(*) AS held FROM {found} GROUP BY layout, digest"  # noqa: S608
        )
    digests = [f"d{number}" for number in range(layouts)]
    duck.execute(
        f"CREATE TABLE present AS SELECT {', '.join([*digests, 'COUNT(*) AS present'])}, "  # noqa: S608
        f"COUNT(*) FILTER (pending) AS pending FROM source{' GROUP BY ' + ', '.join(digests) if digests else ''}"
    )

    def held_of(counted: str) -> tuple[str, str]:
        """Return how often a row is in the files of every layout, and the joins for it."""
        names = [f"{counted}{number}" for number in range(layouts)]
        joins = (
            f" LEFT JOIN {counted} {name} ON {name}.layout = {number} AND {name}.digest = p.d{number}"
            for number, name in enumerate(names)
        )
        return " + ".join(["0", *(f"COALESCE({name}.held, 0)" for name in names)]), "".join(joins)

    (delivered, one), (set_aside, other) = held_of("held"), held_of("aside")
    equal, quarantined, pending, missing = duck.execute(
        "WITH counted AS (SELECT present, pending, LEAST(present, delivered) AS equal, set_aside FROM "  # noqa: S608
        f"(SELECT p.*, {delivered} AS delivered, {set_aside} AS set_aside FROM present p{one}{other})), "
        "allotted AS (SELECT *, LEAST(present - equal, set_aside) AS quarantined FROM counted), "
        "sorted AS (SELECT *, LEAST(present - equal - quarantined, pending) AS awaited FROM allotted) "
        "SELECT SUM(equal), SUM(quarantined), SUM(awaited), SUM(present - equal - quarantined - awaited) FROM sorted"
    ).fetchone()
    result.equal = int(equal or 0)
    result.counts |= {
        "quarantined": int(quarantined or 0), "pending": int(pending or 0), "missing": int(missing or 0)
    }  # fmt: skip
    if whole:
        result.counts["extra"] = result.delivered_rows - result.equal
    else:
        result.notes.append(
            "without a key whole rows are counted: those that only the files have may be earlier versions, "
            "and are not reported"
        )


def _names(keys: int) -> str:
    return ", ".join(f"k{number}" for number in range(keys))


def _count(duck: Any, table: str) -> int:
    return int(duck.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])  # noqa: S608
