"""Measures what the proof costs, for docs/tune.md: ``python -m tests.integration.proof_costs --rows 1000000``.

CPU seconds of the client and of the server, requests and bytes, each in a process of its own. The rows have about 75
bytes; a small table has 1,000 of them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from local.ministack_server import MiniStack
from tests.integration.conftest import fresh_database
from tests.integration.pipeline import Pipeline
from tests.support.measured import measured
from tests.support.servers import discard, start

TABLE = """CREATE TABLE {name} (id BIGINT PRIMARY KEY AUTO_INCREMENT, customer INT NOT NULL,
    status VARCHAR(12) NOT NULL, total DECIMAL(10,2) NOT NULL, note VARCHAR(60), createdDate DATETIME NOT NULL,
    modifiedDate DATETIME, KEY (createdDate), KEY (modifiedDate))"""
FILL = """INSERT INTO {name} (customer, status, total, note, createdDate) WITH RECURSIVE n AS (
    SELECT 1 AS n UNION ALL SELECT n + 1 FROM n WHERE n < {rows})
    SELECT n * 7919 % 500000, ELT(1 + n % 4, 'PLACED', 'PREPARING', 'DELIVERED', 'CANCELLED'), n % 90000 / 100,
    CONCAT('leave at the door of flat ', n % 900), '2024-01-01' + INTERVAL n SECOND FROM n"""
AT_ONCE = 500_000
ALL = 2**40


@dataclass(frozen=True)
class Costs:
    """A pipeline, and what its processes cost."""

    pipeline: Pipeline
    aws: MiniStack

    def fill(self, table: str, rows: int) -> None:
        """Make a table."""
        self.pipeline.database.execute(f"SET SESSION cte_max_recursion_depth = {AT_ONCE}", TABLE.format(name=table))
        for done in range(0, rows, AT_ONCE):
            self.pipeline.database.execute(FILL.format(name=table, rows=min(AT_ONCE, rows - done)))
        self.pipeline.database.execute(f"ANALYZE TABLE {table}")

    def run(self, table: str, **settings: Any) -> dict[str, Any]:
        """Extract a table once."""
        self.pipeline.tables = [{"name": table, **settings}]
        execution = self.pipeline.execution(uuid4().hex)
        plan = self.pipeline.plan(execution)
        before = self.server_cpu()
        found = measured("measured_extraction", self.pipeline, self.aws, run_id=plan["run_id"], table=table)
        found["server_cpu"] = round(self.server_cpu() - before, 2)
        results = [{"table": table, "status": found["status"]}]
        self.pipeline.report(execution, plan=plan, results=results)
        return found

    def verify(self, table: str) -> dict[str, Any]:
        """Compare the files with the database."""
        before = self.server_cpu()
        found = measured(
            "measured_verification", self.pipeline, self.aws, table={"name": table, "prove_bytes": 0}, memory="1GB"
        )
        kept = {name: found[name] for name in ("seconds", "cpu", "peak_mb")}
        return kept | {"server_cpu": round(self.server_cpu() - before, 2)}

    def forget(self, table: str) -> None:
        """Begin the table again."""
        for prefix in (f"{table}/", f"_state/tables/{table}/", f"_state/ledger/{table}/", f"_state/keys/{table}/"):
            for key in self.pipeline.store.keys(prefix):
                self.pipeline.store.delete(key)

    def stored(self, prefix: str) -> dict[str, int]:
        """Return how many objects there are, and their bytes."""
        found = self.pipeline.s3_client.get_paginator("list_objects_v2").paginate(
            Bucket=self.pipeline.bucket, Prefix=prefix
        )
        sizes = [each["Size"] for page in found for each in page.get("Contents", [])]
        return {"objects": len(sizes), "bytes": sum(sizes)}

    def server_cpu(self) -> float:
        """Return the CPU seconds of the database server so far."""
        file = self.pipeline.database.server.directory / "data" / "mysqld.pid"
        fields = Path(f"/proc/{file.read_text().strip()}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(costs: Costs, rows: int) -> None:
    """Print everything about a table of so many rows, and about a small one."""
    costs.fill("t", rows)
    for name, settings in (("without", {"prove_bytes": 0}), ("tracked", {"prove_bytes": 0, "deletes": "track"})):
        _say(f"first load, {name}:", costs.run("t", **settings))
        _say(f"quiet, {name}:", costs.run("t", **settings))
        _say(f"keys, {name}:", costs.stored("_state/keys/t/"))
        costs.forget("t")
    _say("first load, proved:", costs.run("t"))
    _say("ledger:", costs.stored("_state/ledger/t/"), "state:", costs.stored("_state/tables/t/"))
    _say("quiet, a slice:", costs.run("t"))
    _say("quiet, all compared:", costs.run("t", prove_bytes=ALL))
    costs.pipeline.database.execute("UPDATE t SET note = 'restored' WHERE id % 1000 = 1")
    _say("a thousandth healed:", costs.run("t", prove_bytes=ALL))
    _say("compare:", costs.run("t", mode="compare"))
    _say("verify --source:", costs.verify("t"))


def measure_small(costs: Costs, runs: int = 7) -> None:
    """Print what a table costs in which nothing has changed."""
    costs.fill("small", 1_000)
    for name, settings in (("without", {"prove_bytes": 0}), ("proved", {})):
        costs.forget("small")
        costs.run("small", **settings)
        found = [costs.run("small", **settings) for _ in range(runs)]
        _say(f"small, quiet, {name}:", _medians(found, ("seconds", "cpu")), found[-1]["requests"])


def _say(what: str, *found: object) -> None:
    sys.stdout.write(f"{what} {' '.join(map(str, found))}\n")
    sys.stdout.flush()


def _medians(found: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, float]:
    return {name: round(statistics.median(each[name] for each in found), 3) for name in names}


def main() -> None:
    """Measure on a server of its own."""
    parser = argparse.ArgumentParser(prog="python -m tests.integration.proof_costs", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        server = start(Path(folder) / "database", "mysql", "--innodb-buffer-pool-size=2G")
        aws = MiniStack.start(Path(folder) / "aws")
        try:
            with fresh_database(server) as database:
                s3 = aws.client("s3")
                s3.create_bucket(Bucket="costs")
                costs = Costs(Pipeline(database, "costs", s3), aws)
                measure_small(costs)
                measure(costs, rows)
        finally:
            aws.stop()
            discard(server)


if __name__ == "__main__":
    main()
