"""The output of `verify` for an operator and for a script."""

from __future__ import annotations

import pytest

from rds_to_s3_ops.verify.comparison import Reconciliation
from rds_to_s3_ops.verify.reading.stored_files import FileCheck
from rds_to_s3_ops.verify.verification import Verification
from rds_to_s3_ops.verify.views import verification_lines


def table(name: str = "orders", error: str | None = None, **counts: int) -> Reconciliation:
    found = Reconciliation(name, "csv", ["id"], error=error)
    found.counts.update(counts)
    return found


BROKEN = FileCheck("orders/csv/x.csv", "orders", "run-1", ["is missing"])


@pytest.mark.parametrize(
    ("found", "exit_code", "last_line"),
    [
        (Verification(), 0, "nothing differs"),
        (Verification(tables=[table(deleted=1, quarantined=2, pending=3)]), 0, "nothing differs"),
        (Verification(tables=[table(missing=1)]), 1, "something differs"),
        (Verification(tables=[table(extra=1)]), 1, "something differs"),
        (Verification(tables=[table(extra=1)], extra_is_fine=True), 0, "nothing differs"),
        (Verification(broken=[BROKEN]), 1, "something differs"),
        (Verification(tables=[table(error="no")]), 7, "nothing differs in what was compared; not compared: orders"),
        (
            Verification(tables=[table("a", error="no"), table(different=1), table("b", error="no")]),
            1,
            "something differs in what was compared; not compared: a, b",
        ),
    ],
)
def test_what_differs_is_distinguished_from_what_could_not_be_compared(
    found: Verification, exit_code: int, last_line: str
) -> None:
    assert found.exit_code == exit_code
    assert found.is_fine == found.as_json()["ok"] == (exit_code == 0)
    assert list(verification_lines(found))[-1] == last_line


def test_a_few_keys_stand_in_the_line_and_more_on_lines_of_their_own() -> None:
    found = table(missing=5, pending=1)
    found.samples["missing"] = [{"id": str(number), "part": "a"} for number in range(5)]
    result = Verification(tables=[found])
    lines = list(verification_lines(result))
    assert lines[2] == "  5 missing: in the table, in no file, such as (id=0, part=a), (id=1, part=a), (id=2, part=a)"
    assert lines[3] == "  1 pending: the next run will read them"
    lines = list(verification_lines(result, shown=None))
    assert lines[2:8] == [
        "  5 missing: in the table, in no file", *(f"    (id={number}, part=a)" for number in range(5))
    ]  # fmt: skip
    assert "  5 missing: in the table, in no file" in verification_lines(result, shown=0)
