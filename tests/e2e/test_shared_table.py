"""A table that several readers share, two of whose ranges fail: a redrive reads those two, and no other."""

from __future__ import annotations

import json
import os
from typing import Any

from tests.e2e.conftest import DeployedSystem, Run

# `SHARED_TABLE_ROWS=10000000 pytest tests/e2e/test_shared_table.py` takes four minutes on two cores.
ROWS = int(os.environ.get("SHARED_TABLE_ROWS", "80000"))
READERS = 8
PAD = max(10, 40_000_000 // ROWS)  # bytes: smaller tables than 32 MiB are read by one
BATCH = 1_000_000
FAILED = (3, 6)


def test_a_redrive_reads_only_the_ranges_that_failed(system: DeployedSystem) -> None:
    fill(system)
    ssm, parameter = system.client("ssm"), system.local.outputs["TableListParameterName"]
    before = ssm.get_parameter(Name=parameter)["Parameter"]["Value"]
    table = {"name": "shared", "readers": READERS, "checks": {"total": {"ge": 0}}}
    ssm.put_parameter(Name=parameter, Value=json.dumps({"tables": [table]}), Overwrite=True)
    try:
        run = system.run()
        assert run.execution["status"] == "FAILED"
        assert f" of {READERS}, total ge 0: 1 row " in run.tables["shared"]["error"]["message"]
        assert system.keys("shared/") == []
        system.sql("UPDATE shared SET total = 1 WHERE total < 0")
        read_before = rows_read(system)
        redriven = system.redrive(run)
    finally:
        ssm.put_parameter(Name=parameter, Value=before, Overwrite=True)
    read = rows_read(system) - read_before
    entry = redriven.tables["shared"]
    assert (entry["status"], entry["rows"], entry["readers"]) == ("SUCCEEDED", ROWS, READERS)
    # Two of eight ranges, which are even within a fifth, and a few rows of the catalogue.
    assert 0.8 * ROWS * len(FAILED) / READERS < read < 1.2 * ROWS * len(FAILED) / READERS + 1000
    assert ids(system, redriven) == (ROWS, ROWS)
    assert system.keys("_state/ranges/") == []


def fill(system: DeployedSystem) -> None:
    """Make a table, with a row in the third range and one in the sixth that break a check."""
    system.sql(
        "CREATE TABLE shared (id INT PRIMARY KEY, total INT NOT NULL, pad VARCHAR(600) NOT NULL, "
        "createdDate DATETIME NOT NULL, modifiedDate DATETIME NULL, KEY (createdDate), KEY (modifiedDate))"
    )
    for first in range(0, ROWS, BATCH):
        system.sql(
            f"INSERT INTO shared WITH RECURSIVE n AS (SELECT {first} AS i UNION ALL SELECT i + 1 FROM n "
            f"WHERE i < {min(first + BATCH, ROWS) - 1}) SELECT /*+ SET_VAR(cte_max_recursion_depth = {BATCH}) */ "
            f"i, i, REPEAT('x', {PAD}), '2025-01-01' + INTERVAL i SECOND, NULL FROM n"
        )
    middles = [(number - 0.5) / READERS * ROWS for number in FAILED]
    system.sql(
        f"UPDATE shared SET total = -1 WHERE id IN ({', '.join(str(int(middle)) for middle in middles)})",
        "ANALYZE TABLE shared",
    )


def rows_read(system: DeployedSystem) -> int:
    """Return how many rows the server has read since it started."""
    server = system.local.database.server
    assert server is not None
    with server.connect("food_delivery") as connection, connection.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Innodb_rows_read'")
        return int((cursor.fetchone() or ("", 0))[1])


def ids(system: DeployedSystem, run: Run) -> tuple[int, int]:
    """Return how many rows the files have, and how many different ones."""
    seen: Any = bytearray(ROWS)
    rows = 0
    for file in run.tables["shared"]["files"]:
        for line in system.body(file["key"]).splitlines()[1:]:
            seen[int(line.partition(b",")[0])] = 1
            rows += 1
    return rows, sum(seen)
