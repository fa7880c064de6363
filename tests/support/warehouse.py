"""A DuckDB file that is loaded from a pipeline's bucket, and compared with its database."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from rds_to_s3_ops.deployment.bucket import Bucket
from rds_to_s3_ops.load.duckdb_warehouse import DuckDbWarehouse
from rds_to_s3_ops.load.loader import Loader, TableResult
from rds_to_s3_ops.warehouses.deliveries import histories
from rds_to_s3_ops.warehouses.script import scripts
from tests.support.ledger import in_sql

if TYPE_CHECKING:
    from tests.integration.pipeline import Pipeline

Step = Callable[[str], None]


@dataclass
class LoadedFile:
    """The file, and the two ways to load it."""

    pipeline: Pipeline
    path: Path

    @property
    def bucket(self) -> Bucket:
        bucket = Bucket(self.pipeline.s3_client, self.pipeline.bucket)
        bucket.store = self.pipeline.store
        return bucket

    def load(self, *tables: str, on_step: Step = lambda _: None, dry_run: bool = False) -> dict[str, TableResult]:
        """Load by the command's own classes."""
        bucket = self.bucket
        warehouse = DuckDbWarehouse(self.path, bucket, on_step=on_step, read_only=dry_run)
        try:
            found = histories(bucket.every_manifest(), tables or None)
            results = Loader(bucket.name, warehouse).load(found, dry_run=dry_run)
        finally:
            warehouse.close()
        return {result.table: result for result in results}

    def run_script(self, copy: Path) -> list[str]:
        """Run the printed SQL, on a copy of the bucket: DuckDB's way to S3 is an extension that it would fetch."""
        copy_bucket(self.pipeline, copy)
        found = histories(self.bucket.every_manifest())
        commits = {name: each.pending(()) for name, each in found.items()}
        retyped = {name: each.retyped for name, each in found.items()}
        made = scripts("duckdb", self.pipeline.bucket, commits, retyped=retyped)
        statements = [
            text.replace(f"s3://{self.pipeline.bucket}", str(copy)) for each in made for text in each.statements
        ]
        with duckdb.connect(self.path) as connection:
            for statement in statements:
                connection.execute(statement)
        return statements

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(self.path, read_only=True) as connection:
            return connection.execute(query).fetchall()

    def differing(self, *tables: str) -> dict[str, Any]:
        """Return the tables that do not have the rows of MySQL, with what only one of the two has."""
        found = {}
        for table in tables:
            ours, theirs = self._rows(table)
            if ours != theirs:
                found[table] = {"only in DuckDB": ours - theirs, "only in MySQL": theirs - ours}
        return found

    def problems(self, table: str, wanted: Iterable[tuple[str | None, ...]]) -> list[str]:
        """Compare a table with rows as MySQL writes them: lost, stale, and there twice; the key is the first column."""
        (settings,) = (each for each in self.pipeline.tables if isinstance(each, dict) and each["name"] == table)
        renamed = settings.get("rename", {})
        names = [
            renamed.get(row[0], row[0]) for row in self.pipeline.database.rows(f"SHOW COLUMNS FROM {in_sql(table)}")
        ]
        found = self.rows(f'SELECT {", ".join(names)} FROM "{table}"')
        ours = {str(row[0]): row for row in found}
        problems = [f"in the warehouse: {len(found)} rows of {len(ours)} keys"] if len(found) != len(ours) else []
        for row in wanted:
            there = ours.get(str(row[0]))
            if there is None:
                problems.append(f"not in the warehouse: {row}")
            elif not all(map(_is_same, there, row)):
                problems.append(f"stale in the warehouse: {there} for {row}")
        return problems

    def _rows(self, table: str) -> tuple[Counter[Any], Counter[Any]]:
        database, ticked = self.pipeline.database, "`" + table.replace("`", "``") + "`"
        shown = database.rows(f"SHOW FULL COLUMNS FROM {ticked}")
        # TIME and JSON have types of their own in PyMySQL, and a FLOAT fewer digits.
        casts = {"time": "CAST({} AS CHAR)", "json": "CAST({} AS CHAR)", "float": "CAST({} AS DOUBLE)"}
        values = [casts.get(str(row[1]).split("(")[0], "{}").format(f"`{row[0].replace('`', '``')}`") for row in shown]
        # A DECIMAL of more than 38 digits is text in DuckDB.
        values = [
            f"CAST({value} AS CHAR)" if re.match(r"decimal\((39|[4-6]\d),", str(row[1])) else value
            for value, row in zip(values, shown, strict=True)
        ]
        theirs = Counter(database.rows(f"SELECT {', '.join(values)} FROM {ticked}"))
        names = ", ".join('"' + row[0].replace('"', '""') + '"' for row in shown)
        name = '"' + table.replace('"', '""') + '"'
        return Counter(self.rows(f"SELECT {names} FROM {name}")), theirs


def _is_same(ours: Any, text: str | None) -> bool:
    if text is None or ours is None:
        return ours is None and (text is None or text.startswith("0000-00-00"))
    return bool(ours == datetime.fromisoformat(text)) if isinstance(ours, datetime) else str(ours) == text


def copy_bucket(pipeline: Pipeline, folder: Path) -> None:
    """Copy the bucket's objects; data files never change."""
    for key in pipeline.store.keys(""):
        path = folder / key
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(pipeline.body(key))
