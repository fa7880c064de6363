"""One table, several readers: divided evenly, read side by side, committed once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from rds_to_s3.extract.ranges import division
from tests.integration.pipeline import Pipeline, entry

ROWS = 20_000
COLUMNS = "pad VARCHAR(400) NOT NULL, createdDate DATETIME(6) NOT NULL, modifiedDate DATETIME(6) NULL"
INDEXES = "KEY (createdDate), KEY (modifiedDate)"
PAD = "REPEAT('x', IF(n > 14000, 300, 60))"
STAMPS = "'2025-01-01' + INTERVAL n SECOND, IF(n % 3, NULL, '2025-02-01' + INTERVAL n SECOND)"
KEYS = {
    "dense": ("id INT PRIMARY KEY", "n"),
    "gappy": ("id BIGINT PRIMARY KEY", "n * n * 1000"),
    "negative": ("id DECIMAL(20, 4) PRIMARY KEY", "(n - 9000) * 1.5"),
    "uuid": ("id CHAR(36) PRIMARY KEY", "UUID()"),
    "hash": ("id BINARY(16) PRIMARY KEY", "UNHEX(LEFT(SHA2(n, 256), 32))"),
    "numbered": ("id VARCHAR(40) PRIMARY KEY", "CONCAT('ORD-2025-', LPAD(n, 10, '0'))"),
    "letters": ("id VARCHAR(40) PRIMARY KEY", "CONCAT(ELT(1 + n % 5, 'Zoë', 'жук', 'ключ', '中文', 'a_b'), n)"),
    "skewed": ("a INT, id INT, PRIMARY KEY (a, id)", "IF(n % 10 < 7, 5, n % 10), n"),
    "moments": ("at DATETIME(3), id INT, PRIMARY KEY (at, id)", "'2020-01-01' + INTERVAL n * n DIV 1000 MINUTE, n"),
}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(division, "LEAST_BYTES", 200_000)


def fill(pipeline: Pipeline, key: str, values: str, *, stamps: str = STAMPS) -> None:
    digits = " UNION ALL ".join(f"SELECT {n} AS d" for n in range(10))
    pipeline.database.execute(
        f"CREATE TABLE big ({key}, {COLUMNS}, {INDEXES})",
        f"INSERT INTO big SELECT {values}, {PAD}, {stamps} FROM (SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d "
        f"+ 10000 * f.d + 1 AS n FROM ({digits}) a, ({digits}) b, ({digits}) c, ({digits}) e, ({digits}) f) numbers "
        f"WHERE n <= {ROWS}",
        "ANALYZE TABLE big",
    )
    pipeline.tables = [{"name": "big", "readers": 4}]


def everything(pipeline: Pipeline, key: str = "id") -> Counter[Any]:
    return Counter(str(row[0]) for row in pipeline.database.rows(f"SELECT {key} FROM big"))


@pytest.mark.parametrize("kind", KEYS)
def test_a_first_load_is_shared_evenly_whatever_the_key(any_pipeline: Pipeline, kind: str) -> None:
    fill(any_pipeline, *KEYS[kind])
    table = entry(any_pipeline.run(), "big")
    assert (table["status"], table["rows"], table["readers"], table["attempts"]) == ("SUCCEEDED", ROWS, 4, 1)
    key = "HEX(id)" if kind == "hash" else "id"
    delivered = Counter(row["id"] for row in any_pipeline.delivered("big", [file["key"] for file in table["files"]]))
    assert delivered == everything(any_pipeline, key)
    sizes = [file["bytes"] for file in table["files"]]
    assert len(sizes) == 4
    assert max(sizes) < 1.25 * sum(sizes) / 4, sizes
    assert any_pipeline.keys("_state/ranges/") == []
    again = entry(any_pipeline.run(), "big")
    assert (again["status"], again.get("readers", 1), again["proof"]["healed"]) == ("UNCHANGED", 1, 0)
