"""What became of each key: the digests of both sides against each other, in DuckDB.

The files are taken in the order of their windows. Of each key the newest row version counts, and what was told of it
otherwise counts only where it is no older: a delete, or a version that a check set aside. Which of two windows that
end in the same second came first, their keys do not tell; there either order is taken for right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rds_to_s3_ops.reconciliation import Reconciliation

SAMPLES = 10
WINDOW_BITS = 32
"""A file's position: its window's number above so many bits, and below them its part."""


def compare(duck: Any, key: Sequence[str], layouts: Sequence[tuple[int, ...]], result: Reconciliation) -> None:
    """Fill in the result."""
    result.source_rows = _count(duck, "source")
    if not key:
        _compare_whole_rows(duck, layouts, result)
        return
    _newest_of_each(duck, len(key))
    result.delivered_rows = _count(duck, "newest")
    _compare_keys(duck, len(key), len(layouts))
    names = _names(len(key))
    for kind, count in duck.execute("SELECT kind, COUNT(*) FROM compared GROUP BY kind").fetchall():
        if kind == "equal":
            result.equal = count
            continue
        result.counts[kind] = count
        rows = duck.execute(
            f"SELECT {names} FROM compared WHERE kind = ? ORDER BY {names} LIMIT {SAMPLES}",  # noqa: S608
            [kind],
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

    # A window that a side does not have is before all others.
    row, delete, set_aside = (f"COALESCE({side}.in_window, -1)" for side in "ngq")
    duck.execute(
        f"CREATE TABLE compared AS SELECT {names}, CASE "  # noqa: S608
        f"WHEN s.pending IS NULL THEN CASE WHEN {delete} >= {row} THEN 'deleted' ELSE 'extra' END "
        f"WHEN {is_the_source('n')} AND {row} >= {delete} THEN 'equal' "
        f"WHEN {is_the_source('q')} AND {set_aside} >= GREATEST({row}, {delete}) THEN 'quarantined' "
        "WHEN s.pending THEN 'pending' "
        # Whoever has applied the deletes has no such row.
        f"WHEN {row} = -1 OR {delete} > {row} THEN 'missing' ELSE 'different' END AS kind "
        f"FROM newest n FULL JOIN source s USING ({names}) LEFT JOIN gone g USING ({names}) "
        f"LEFT JOIN aside q USING ({names})"
    )


def _compare_whole_rows(duck: Any, layouts: Sequence[tuple[int, ...]], result: Reconciliation) -> None:
    result.notes.append("without a key whole rows are looked for: rows that only the files have are not told")
    result.delivered_rows = _count(duck, "delivered")
    found = " OR ".join(
        f"d{number} IN (SELECT digest FROM delivered WHERE layout = {number})"  # noqa: S608
        for number in range(len(layouts))
    )
    kinds = f"CASE WHEN {found or 'FALSE'} THEN 'equal' WHEN pending THEN 'pending' ELSE 'missing' END"
    for kind, count in duck.execute(f"SELECT {kinds} AS kind, COUNT(*) FROM source GROUP BY 1").fetchall():  # noqa: S608
        if kind == "equal":
            result.equal = count
        else:
            result.counts[kind] = count


def _names(keys: int) -> str:
    return ", ".join(f"k{number}" for number in range(keys))


def _count(duck: Any, table: str) -> int:
    return int(duck.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])  # noqa: S608
