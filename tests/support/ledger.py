"""Checks of a bucket against the table that it was extracted from: nothing lost, nothing twice, nothing left behind."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tests.support.csv_reading import read_csv

if TYPE_CHECKING:
    from tests.integration.pipeline import Pipeline

Row = tuple[str | None, ...]


def text(value: Any) -> str | None:
    """Write a value as MySQL's text protocol does."""
    if value is None:
        return None
    return value.decode() if isinstance(value, bytes) else str(value)


def in_sql(table: str) -> str:
    """Quote a table's name, which may be ``schema.table``."""
    return ".".join(f"`{part}`" for part in table.split("."))


def table_rows(pipeline: Pipeline, table: str, key: int = 1, where: str = "TRUE") -> dict[Row, Row]:
    """Return the table's rows, all of them or some, by their first `key` columns."""
    columns = [row[0] for row in pipeline.database.rows(f"SHOW COLUMNS FROM {in_sql(table)}")]
    select = ", ".join(f"CAST(`{column}` AS CHAR)" for column in columns)
    rows = [
        tuple(map(text, row)) for row in pipeline.database.rows(f"SELECT {select} FROM {in_sql(table)} WHERE {where}")
    ]
    return {row[:key]: row for row in rows}


def delivered_rows(pipeline: Pipeline, keys: Iterable[str]) -> list[Row]:
    """Return the rows of CSV files, one file after the other."""
    return [tuple(row.values()) for key in keys for row in read_csv(pipeline.body(key))]


def newest(rows: Iterable[Row], key: int = 1) -> dict[Row, Row]:
    """Keep the last version of each key."""
    return {row[:key]: row for row in rows}


def problems_with_rows(
    pipeline: Pipeline,
    table: str,
    key: int = 1,
    where: str = "TRUE",
    as_written: Callable[[Row], Row] = lambda row: row,
) -> list[str]:
    """Compare every row, or those that fulfil a condition: what is missing, stale, left over or there twice.

    Parameters
    ----------
    as_written : callable
        Returns a row of the table as the files have it.
    """
    delivered = delivered_rows(pipeline, pipeline.data_keys(table))
    rows, got = table_rows(pipeline, table, key, where), newest(delivered, key)
    wanted = {name: as_written(row) for name, row in rows.items()}
    problems = [f"lost: {row}" for name, row in wanted.items() if name not in got]
    problems += [f"stale: {got[name]} for {row}" for name, row in wanted.items() if name in got and got[name] != row]
    twice = [row for row, count in Counter(delivered).items() if count > 1]
    return problems + [f"delivered more than once: {row}" for row in twice]


def problems_with_leftovers(pipeline: Pipeline, table: str, file_format: str = "csv") -> list[str]:
    """Look for what a dead invocation left: uploads, a lease, progress, registers of ranges, digests."""
    problems = [f"upload left: {key}" for key, _ in pipeline.store.uploads(f"{table}/")]
    problems += [f"a range's register left: {key}" for key in pipeline.keys(f"_state/ranges/{table}/{file_format}/")]
    state = json.loads(pipeline.body(f"_state/tables/{table}/{file_format}.json"))
    problems += [f"{what} left: {state[what]}" for what in ("lease", "staged") if state[what] is not None]
    commit = state["commit"]
    if not commit["applied"]:
        problems.append("the last commit is not applied")
    named = set((commit["tail"] or {"keys": []})["keys"])
    digests = set(pipeline.keys(f"_state/tails/{table}/{file_format}/"))
    if digests != named:
        problems.append(f"digests left: {sorted(digests - named)}, missing: {sorted(named - digests)}")
    # An earlier invocation of the last run may have left some of the ledger, which the next run removes.
    ledger = commit["ledger"] or {"blocks": [], "runs": []}
    proved = {part["key"] for part in [*ledger["blocks"], *ledger["runs"]] if part["key"]}
    lost = proved - set(pipeline.keys(f"_state/ledger/{table}/{file_format}/"))
    problems += [f"missing from the ledger: {key}" for key in sorted(lost)]
    return problems


def problems_with_manifests(pipeline: Pipeline, table: str, manifests: Sequence[dict[str, Any]]) -> list[str]:
    """Hold what the manifests tell against what is visible: each file in one of them, with its rows and its hash."""
    problems = []
    told = [
        file
        for manifest in manifests
        for entry in manifest["tables"]
        if entry["table"] == table
        for file in entry["files"]
    ]
    keys = Counter(file["key"] for file in told)
    visible = set(pipeline.data_keys(table))
    problems += [f"told of {count} times: {key}" for key, count in keys.items() if count > 1]
    problems += [f"visible and in no manifest: {key}" for key in sorted(visible - set(keys))]
    problems += [f"told of and not there: {key}" for key in sorted(set(keys) - visible)]
    for file in told:
        if file["key"] not in visible:
            continue
        body = pipeline.body(file["key"])
        if (file["sha256"], file["bytes"]) != (hashlib.sha256(body).hexdigest(), len(body)):
            problems.append(f"not the bytes that the manifest tells of: {file['key']}")
        if file["rows"] != sum(1 for _ in read_csv(body)):
            problems.append(f"not the rows that the manifest tells of: {file['key']}")
    return problems


def expire_lease(pipeline: Pipeline, table: str, file_format: str = "csv") -> None:
    """Let the time pass that a dead invocation's lease still has."""
    key = f"_state/tables/{table}/{file_format}.json"
    stored = pipeline.store.get(key)
    if stored is None:
        return
    state = json.loads(stored.body)
    if state["lease"] is not None:
        state["lease"]["expires_at"] = 0.0
        pipeline.store.put(key, json.dumps(state).encode())
