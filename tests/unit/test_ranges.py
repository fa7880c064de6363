"""Values at which a range of a key may be divided."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest

from rds_to_s3.extract.ranges.between import values_between
from rds_to_s3.mysql.select import SelectColumn

WIDE = SelectColumn("id", "decimal", "numeric")
YEAR = SelectColumn("y", "year", "temporal")


@pytest.mark.parametrize(
    ("low", "high"),
    [(b"-" + b"9" * 35 + b"." + b"9" * 30, b"9" * 35 + b"." + b"9" * 30), (b"0." + b"0" * 30, b"9" * 35 + b".5")],
)
def test_numbers_of_all_digits_that_a_decimal_has_are_divided_evenly(low: bytes, high: bytes) -> None:
    with localcontext(prec=100):
        found = [Decimal(value.decode()) for value in values_between(WIDE, low, high)]
        first, last = Decimal(low.decode()), Decimal(high.decode())
        steps = [second - first_ for first_, second in zip([first, *found], found, strict=False)]
        assert len(found) == 8
        assert found[-1] == last
        assert max(steps) - min(steps) <= 1


def test_years_are_those_that_the_server_takes_for_themselves() -> None:
    found = values_between(YEAR, b"0000", b"2155")
    assert found
    assert all(b"1901" <= year <= b"2155" and len(year) == 4 for year in found)
