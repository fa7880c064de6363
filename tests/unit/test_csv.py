from __future__ import annotations

import csv
import gzip
import io
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rds_to_s3.formats import OutputColumn, open_encoder
from rds_to_s3.mysql.wire.result_set import query
from rds_to_s3.rows.columns import Kind
from tests.unit import wire


def columns(kinds: Sequence[Kind]) -> list[OutputColumn]:
    return [OutputColumn(f"c{index}", "text", kind) for index, kind in enumerate(kinds)]


def encode(
    rows: Sequence[wire.Row], kinds: Sequence[Kind], *, hidden: int = 0, compression: str = "none", **limits: Any
) -> bytes:
    """Return the file that holds `rows`, the last `hidden` of their columns left out."""
    names = [f"c{index}" for index in range(len(kinds) + hidden)]
    pieces: list[bytes] = []
    encoder = open_encoder("csv", compression, columns(kinds), lambda data: pieces.append(bytes(data)))
    with query(wire.connection(wire.result_set(rows, names)), "SELECT 1", **limits) as result:
        for part in result:
            encoder.write(part)
    encoder.close()
    return b"".join(pieces)


def expected_field(value: bytes | None, kind: Kind) -> bytes:
    if value is None:
        return b""
    if kind == "binary":
        value = value.hex().upper().encode()
    if value in {b"", b"\\N", b"\\."} or any(special in value for special in (b",", b'"', b"\n", b"\r")):
        return b'"' + value.replace(b'"', b'""') + b'"'
    return value


def expected(rows: Sequence[wire.Row], kinds: Sequence[Kind]) -> bytes:
    """What the contract says, value by value."""
    lines = [b",".join(f"c{index}".encode() for index in range(len(kinds)))]
    lines += [b",".join(map(expected_field, row, kinds)) for row in rows]
    return b"\n".join(lines) + b"\n"


text = st.one_of(
    st.none(),
    st.text(max_size=8),
    st.text('a,"\r\n\x00 é😀', max_size=5),
    st.text("\\N.", max_size=3),
    st.text("x", min_size=249, max_size=255),
)
text_value = text.map(lambda value: None if value is None else value.encode())
binary_value = st.one_of(st.none(), st.binary(max_size=8), st.integers(248, 256).map(os.urandom))
all_kinds: list[Kind] = ["text", "binary", "numeric", "temporal"]
any_kinds = st.lists(st.sampled_from(all_kinds), min_size=1, max_size=5)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Kind], int, list[list[bytes | None]]]:
    kinds = draw(any_kinds)
    hidden = draw(st.integers(0, 2))
    row = [binary_value if kind == "binary" else text_value for kind in kinds] + [binary_value] * hidden
    return kinds, hidden, draw(st.lists(st.tuples(*row).map(list), max_size=12))


@given(tables(), st.sampled_from([1, 300, 1 << 20]), st.sampled_from([200, 1 << 20]))
def test_a_file_holds_what_the_contract_says(
    table: tuple[list[Kind], int, list[wire.Row]], block_bytes: int, spool_bytes: int
) -> None:
    kinds, hidden, rows = table
    visible = [row[: len(kinds)] for row in rows]
    file = encode(rows, kinds, hidden=hidden, block_bytes=block_bytes, spool_bytes=spool_bytes)
    assert file == expected(visible, kinds)


@given(st.lists(st.lists(text_value, min_size=3, max_size=3), max_size=8))
def test_pythons_csv_module_reads_the_values_back(rows: list[wire.Row]) -> None:
    file = encode(rows, ["text"] * 3).decode()
    found = list(csv.reader(io.StringIO(file, newline=""), strict=True))
    assert found[1:] == [[(value or b"").decode() for value in row] for row in rows]


@pytest.mark.parametrize("length", [1, 30, 3_000])
def test_values_of_any_length_have_the_same_separators_and_quotes(length: int) -> None:
    long = b"x" * length
    rows: list[wire.Row] = [[long, b"", None, long + b",y"], [b'"' + long, None, long, b""]] * 3
    assert encode(rows, ["text"] * 4) == expected(rows, ["text"] * 4)


def test_null_is_nothing_and_the_empty_string_is_two_quotes() -> None:
    assert encode([[None, b"", b"x"]], ["text", "text", "text"]) == b'c0,c1,c2\n,"",x\n'


def test_what_a_reader_takes_for_null_or_for_the_end_is_quoted() -> None:
    row: wire.Row = (b"\\N", b"\\.", b"\\n", b"\\N ", b"a\\N")
    assert encode([row], ["text"] * 5).split(b"\n")[1] == b'"\\N","\\.",\\n,\\N ,a\\N'


def test_blanks_and_single_quotes_need_no_quotes() -> None:
    assert encode([[b" a ", b"it's"]], ["text", "text"]) == b"c0,c1\n a ,it's\n"


def test_binary_is_upper_case_hexadecimal() -> None:
    assert encode([[b"\x00,\xfe\xff", b"", None]], ["binary"] * 3) == b'c0,c1,c2\n002CFEFF,"",\n'


def test_text_that_is_no_utf8_goes_through_byte_for_byte() -> None:
    rows = [[b"\xff\xfe,", b"1", b"\xfa"], [b"plain", b"2", b"\xff"]]
    assert encode(rows, ["text", "text", "binary"]) == expected(rows, ["text", "text", "binary"])


def test_names_are_quoted_like_values() -> None:
    pieces: list[bytes] = []
    names = [OutputColumn('a"b', "int", "numeric"), OutputColumn("c,d", "int", "numeric")]
    open_encoder("csv", "none", names, lambda data: pieces.append(bytes(data))).close()
    assert b"".join(pieces) == b'"a""b","c,d"\n'


def test_one_column_of_null_is_an_empty_line() -> None:
    assert encode([[None], [b"x"], [None]], ["text"]) == b"c0\n\nx\n\n"


@pytest.mark.parametrize("kind", ["text", "binary"])
def test_a_large_value_is_written_in_pieces(kind: Kind) -> None:
    for value in (b"a" * (5 << 20), b'"' * (5 << 20), b"a" * (5 << 20) + b","):
        rows = [[b"1", value], [b"2", b"small"]]
        assert encode(rows, ["numeric", kind]) == expected(rows, ["numeric", kind])


def test_gzip_holds_the_same_text_and_is_the_same_every_time() -> None:
    rows = [[b"%d" % number, b"text,"] for number in range(10_000)]
    compressed = encode(rows, ["numeric", "text"], compression="gzip")
    assert gzip.decompress(compressed) == expected(rows, ["numeric", "text"])
    assert compressed == encode(rows, ["numeric", "text"], compression="gzip")


def test_csv_is_written_without_pyarrow() -> None:
    script = (
        "import sys\n"
        "from rds_to_s3.formats import OutputColumn, open_encoder\n"
        "import rds_to_s3.mysql.wire.result_set\n"
        "open_encoder('csv', 'gzip', [OutputColumn('id', 'int', 'numeric')], len).close()\n"
        "assert not {'pyarrow', 'pandas'} & sys.modules.keys()\n"
    )
    subprocess.run(
        [sys.executable, "-c", script], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match="avro"):
        open_encoder("avro", "none", [], lambda data: None)
    with pytest.raises(ValueError, match="snappy"):
        open_encoder("csv", "snappy", [], lambda data: None)
