"""Every MySQL type at its edges, as tables: column definitions, and SQL for values of each."""

from __future__ import annotations

TEXTS = [
    "''",
    "' '",
    "'  both  '",
    "'a\\0b'",
    "'\"'",
    "'\"\"'",
    "'\\''",
    "','",
    "'a,b'",
    "'\\r'",
    "'\\n'",
    "'\\r\\n'",
    "'a\\r\\nb,\"c\"'",
    "'\\t'",
    "'\\\\N'",
    "'NULL'",
    "'null'",
    "'\\\\'",
    "';'",
    "'|'",
    "'#'",
    "'=1+1'",
    "'NaN'",
    "'0x41'",
    "'\\Z'",
    "'\"'';\\n'",
]
UNICODE = [
    "'😀'",
    "'e\u0301'",
    "'é'",
    "'\ufeff'",
    "'\u2028'",
    "'\u0085'",
    "'\u200d👩\u200d👧'",
    "'\U0010ffff'",
    "'ﬀ'",
    "'\x7f'",
]
LATIN1 = ["x'80818D8F909DFF'", "x'E9'", "x'00'", "'a,\"b\"\\r\\n'", "''", "' '"]
SIZES = range(1, 65)


def integers() -> dict[str, list[str]]:
    columns = {}
    for name, bits in (("TINYINT", 8), ("SMALLINT", 16), ("MEDIUMINT", 24), ("INT", 32), ("BIGINT", 64)):
        columns[name] = [str(-(2 ** (bits - 1))), str(2 ** (bits - 1) - 1), "0", "-1", "1"]
        columns[f"{name} UNSIGNED"] = ["0", str(2**bits - 1), str(2 ** (bits - 1))]
    return columns | {"TINYINT(1)": ["-128", "2", "127"], "INT(10) UNSIGNED ZEROFILL": ["0", "42", "4294967295"]}


TABLES: dict[str, dict[str, list[str]]] = {
    "integers": integers(),
    "decimals": {
        "DECIMAL(65,30)": ["9" * 35 + "." + "9" * 30, "-" + "9" * 35 + "." + "9" * 30, "0", "1e-30", "-0.5"],
        "DECIMAL(65,0)": ["9" * 65, "-" + "9" * 65],
        "DECIMAL(39,1)": ["9" * 38 + ".9"],
        "DECIMAL(38,30)": ["99999999." + "9" * 30, "-0.000000000000000000000000000001"],
        "DECIMAL(18,4)": ["-99999999999999.9999", "0.0001"],
        "DECIMAL(5,2) UNSIGNED ZEROFILL": ["1.5", "999.99"],
        "DECIMAL(1,0)": ["9", "-9"],
    },
    "floats": {
        "FLOAT": [
            "16777216",
            "16777217",
            "0.1",
            "-3.4028234663852886e38",
            "1.1754943508222875e-38",
            "1e-45",
            "1/3",
            "-0.0e0",
        ],
        "FLOAT UNSIGNED": ["123456.789", "0"],
        "FLOAT(7,4)": ["999.9999", "-0.00005", "123.45678"],
        "DOUBLE": [
            "1.7976931348623157e308",
            "-2.2250738585072014e-308",
            "5e-324",
            "0.1",
            "1/3e0",
            "9007199254740993",
            "1e22",
            "-0.0e0",
        ],
        "DOUBLE(20,2)": ["123456789012345.67", "-123456789012345678.12", "0.005"],
    },
    "bits": {f"BIT({size})": ["0", str(2**size - 1), str(2 ** (size - 1)), "1"] for size in SIZES},
    "times": {
        "TIME": ["'-838:59:59'", "'838:59:59'", "'00:00:00'", "'-00:00:01'"],
        "TIME(6)": ["'-838:59:59.000000'", "'838:59:58.999999'", "'-00:00:00.000001'"],
        "TIME(3)": ["'100:00:00.001'"],
        "YEAR": ["1901", "2155", "0", "2000"],
        "DATE": ["'1000-01-01'", "'9999-12-31'", "'2024-02-29'", "'1582-10-10'", "'0001-01-01'"],
        **{
            f"DATETIME({n})": ["'1000-01-01 00:00:00'", "'9999-12-31 23:59:59'", "'1969-12-31 23:59:59.987654'"]
            for n in range(7)
        },
        **{
            f"TIMESTAMP({n}) NULL": ["'1970-01-02 00:00:01'", "'2038-01-18 00:00:00'", "'2001-02-03 04:05:06.123456'"]
            for n in range(7)
        },
    },
    "texts": {
        "CHAR(40)": TEXTS + UNICODE,
        "VARCHAR(40)": TEXTS + UNICODE,
        "TINYTEXT": TEXTS,
        "TEXT": UNICODE,
        "MEDIUMTEXT": ["REPEAT('x', 70000)", "REPEAT('\"', 300)", "''"],
        "LONGTEXT": ["REPEAT('é,', 100000)", "REPEAT('y', 251)", "REPEAT('z', 250)"],
        "VARCHAR(40) CHARACTER SET latin1": LATIN1,
        "TEXT CHARACTER SET latin1": LATIN1,
        "VARCHAR(40) CHARACTER SET utf16": TEXTS + UNICODE,
        "CHAR(9) CHARACTER SET utf32": UNICODE,
        "VARCHAR(40) CHARACTER SET utf8mb3": ["'é'", "'e\u0301'", "'\uffff'"],
        "VARCHAR(40) CHARACTER SET cp932": ["'①'", "'表'", "'\\\\'"],
        "VARCHAR(40) CHARACTER SET ascii": ["'a,b'", "''"],
    },
    "bytes": {
        "BINARY(4)": ["''", "x'00'", "x'FF00FF00'", "'a'"],
        "VARBINARY(9)": ["''", "x'00'", "x'2C220D0A'", "'a  '", "x'FFFE'"],
        "TINYBLOB": ["x'FB'", "x'FAFBFCFDFEFF'"],
        "BLOB": ["REPEAT(x'00', 300)", "''"],
        "MEDIUMBLOB": ["REPEAT(x'FA', 70000)"],
        "LONGBLOB": ["REPEAT(x'0A', 200000)", "x'22'"],
        "VARCHAR(9) CHARACTER SET binary": ["'x'", "x'FF'"],
    },
    "sets": {
        "ENUM('a,b','it''s','\"','ünï',' lead','')": ["'a,b'", "'it''s'", "'\"'", "'ünï'", "' lead'", "''"],
        "ENUM('x','y')": ["'x'", "0"],
        "SET('a','b c','é\"','d')": ["''", "'a,b c'", "'a,b c,é\",d'", "'d'"],
        "JSON": [
            "'{}'",
            "'[1, null, \"a,b\"]'",
            "'\"😀\\\\n\"'",
            "'null'",
            "'1.5e300'",
            "'18446744073709551615'",
            "'\"\"'",
        ],
    },
    "shapes": {
        "GEOMETRY": [
            "ST_GeomFromText('POINT(1 2)')",
            "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))')",
        ],
        "POINT": ["ST_GeomFromText('POINT(1e-300 -1e300)')", "ST_GeomFromText('POINT(10 20)', 4326)"],
        "LINESTRING": ["ST_GeomFromText('LINESTRING(0 0,1 1,2 2)')"],
        "POLYGON": ["ST_GeomFromText('POLYGON((0 0,0 3,3 3,3 0,0 0),(1 1,1 2,2 2,2 1,1 1))')"],
        "MULTIPOINT": ["ST_GeomFromText('MULTIPOINT(0 0,1 1)')"],
        "MULTILINESTRING": ["ST_GeomFromText('MULTILINESTRING((0 0,1 1),(2 2,3 3))')"],
        "MULTIPOLYGON": ["ST_GeomFromText('MULTIPOLYGON(((0 0,0 1,1 1,0 0)))')"],
        "GEOMETRYCOLLECTION": ["ST_GeomFromText('GEOMETRYCOLLECTION(POINT(0 0))')"],
    },
}
ONLY_MYSQL = {"vectors": {"VECTOR(3)": ["STRING_TO_VECTOR('[1,-0.1,3e38]')"], "VECTOR(1)": ["x'00000080'"]}}
ONLY_MARIADB = {
    "others": {"INET4": ["'1.2.3.4'"], "INET6": ["'::1'"], "UUID": ["'123e4567-e89b-12d3-a456-426655440000'"]},
}

IMPOSSIBLE_DATES = ["0000-00-00", "2024-00-00", "2024-02-00", "2024-00-05", "2023-02-29", "2024-02-31", "0000-01-01"]
