"""What became of each key: the digests of both sides against each other, in DuckDB."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rds_to_s3_ops.reconciliation import Reconciliation

SAMPLES = 10


def compare(duck: Any, key: Sequence[str], layouts: Sequence[tuple[int, ...]], result: Reconciliation) -> None:
    """Fill in the result."""
    result.source_rows = _count(duck, "source")
    if not key:
        _compare_whole_rows(duck, layouts, result)
        return
    keys = [f"k{number}" for number in range(len(key))]
    names = ", ".join(keys)
    duck.execute(
        f"CREATE TABLE newest AS SELECT {names}, arg_max(layout, file) AS layout, arg_max(digest, file) AS digest "  # noqa: S608
        f"FROM delivered GROUP BY {names}"
    )
    result.delivered_rows = _count(duck, "newest")
    digest = "CASE n.layout " + "".join(f"WHEN {i} THEN s.d{i} " for i in range(len(layouts))) + "END"
    same = f"n.digest = {digest}" if layouts else "FALSE"
    matched = " AND ".join(f"n.{key} = s.{key}" for key in keys)
    chosen = ", ".join(f"COALESCE(n.{key}, s.{key}) AS {key}" for key in keys)
    duck.execute(
        f"CREATE TABLE compared AS SELECT {chosen}, CASE WHEN s.k0 IS NULL THEN 'extra' "  # noqa: S608
        f"WHEN n.k0 IS NOT NULL AND {same} THEN 'equal' WHEN s.pending THEN 'pending' "
        "WHEN n.k0 IS NULL THEN 'missing' ELSE 'different' END AS kind "
        f"FROM newest n FULL JOIN source s ON {matched}"
    )
    told = " AND ".join(f"t.{key} = compared.{key}" for key in keys)
    for kind, found in (("'extra'", "deletes"), ("'missing', 'different'", "quarantine")):
        name = {"deletes": "deleted", "quarantine": "quarantined"}[found]
        duck.execute(
            f"UPDATE compared SET kind = '{name}' WHERE kind IN ({kind}) "  # noqa: S608
            f"AND EXISTS (SELECT 1 FROM {found} t WHERE {told})"
        )
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


def _count(duck: Any, table: str) -> int:
    return int(duck.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])  # noqa: S608
