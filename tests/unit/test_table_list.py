"""The table list: what is taken, and what is said of what is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rds_to_s3.errors import InputError, TableListError
from rds_to_s3.plan.lists.patterns import QualifiedName
from rds_to_s3.plan.table_list import TableSpec, parse_table_list, select_tables


def parse(tables: list[Any], **document: Any) -> list[TableSpec]:
    return parse_table_list(json.dumps({"tables": tables, **document})).tables


def test_a_name_alone_takes_every_default() -> None:
    (orders,) = parse(["orders"])
    assert (orders.name, orders.created_column, orders.modified_column) == ("orders", "createdDate", "modifiedDate")
    assert (orders.mode, orders.format, orders.compression, orders.target_file_bytes) == (
        "incremental",
        "csv",
        "none",
        128 * 1024 * 1024,
    )


def test_an_object_overrides_the_documents_defaults() -> None:
    orders, menu = parse(
        [{"name": "orders", "format": "parquet", "modified_column": None}, "menu"],
        defaults={"modified_column": "changed"},
    )
    assert (orders.format, orders.compression, orders.modified_column) == ("parquet", "snappy", None)
    assert (menu.format, menu.modified_column) == ("csv", "changed")


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ("{", "not valid JSON"),
        ("[]", "must be a JSON object"),
        ("{}", '"tables"'),
        ('{"tables": "orders"}', '"tables" must be an array'),
        ('{"tables": ["a"], "tables": ["b"]}', '"tables" occurs twice'),
        ('{"tables": [], "table": 1}', '"table" (did you mean "tables"?)'),
        ('{"tables": ["orders", "menu", "orders"]}', 'tables[2] ("orders") is listed twice'),
        ('{"tables": [7]}', "tables[0]"),
        ('{"tables": [{"format": "csv"}]}', "name"),
        ('{"tables": [{"name": "orders", "fromat": "csv"}]}', 'unknown key "fromat" (did you mean "format"?)'),
        ('{"tables": [{"name": "orders", "own_keys": []}]}', 'unknown key "own_keys"'),
        ('{"tables": [{"name": "orders", "format": "xml"}]}', "format"),
        ('{"tables": [{"name": "orders", "target_file_bytes": "1"}]}', "target_file_bytes"),
        ('{"tables": [{"name": "orders", "target_file_bytes": true}]}', "target_file_bytes"),
        ('{"tables": [{"name": "orders", "lookback_seconds": -1}]}', "lookback_seconds"),
        *(
            (
                f'{{"tables": [{{"name": "orders", "readers": {value}}}]}}',
                'readers: must be a number from 1 to 40, or "auto"',
            )
            for value in ("0", "41", "true", "2.0", '"many"', "null")
        ),
        ('{"tables": [{"name": "orders", "compression": "snappy"}]}', "snappy"),
        ('{"tables": [{"name": "orders", "columns": ["a"], "exclude_columns": ["b"]}]}', "exclude"),
        ('{"tables": [{"name": "orders", "columns": []}]}', '"columns" is empty'),
        ('{"tables": [{"name": "orders", "columns": ["a", "a"]}]}', '"a" twice'),
        (
            '{"tables": [{"name": "orders", "columns": ["id", "ID"]}]}',
            '"columns" names "ID" twice, first as "id": case does not count',
        ),
        (
            '{"tables": [{"name": "orders", "columns": ["größe", "GRÖSSE", "GRÖßE"]}]}',
            '"GRÖßE" twice, first as "größe"',
        ),
        ('{"tables": [{"name": "orders", "exclude_columns": ["a", "A"]}]}', '"exclude_columns" names "A" twice'),
        ('{"tables": ["a"], "defaults": {"columns": ["id", "Id"]}}', '"columns" names "Id" twice'),
        (
            '{"tables": [{"name": "orders", "checks": {"total": {"ge": 0}, "Total": {"le": 9}}}]}',
            '"checks" names "Total" twice, first as "total"',
        ),
        ('{"tables": [{"name": "orders", "created_column": null, "modified_column": null}]}', '"mode": "full"'),
        ('{"tables": [{"name": "orders", "checks": {"total": {"gee": 0}}}]}', 'unknown check "gee"'),
        ('{"tables": [{"name": "orders", "lookback_seconds": 100000000000}]}', "lookback_seconds"),
        ('{"tables": [{"name": "orders", "checks": {"total": {"ge": NaN}}}]}', "NaN is not a JSON number"),
        ('{"tables": [{"name": "orders", "checks": {"total": null}}]}', 'checks of "total": must be an object'),
        (
            '{"tables": [{"name": "orders", "checks": {"total": {"isin": ["a", null]}}}]}',
            "isin[1] must be a number or a text, not null",
        ),
        ('{"tables": ["\\ud800"]}', "unpaired surrogate"),
        ('{"tables": ["orders"], "defaults": {"nmae": "x"}}', 'defaults: unknown key "nmae"'),
    ],
)
def test_what_is_wrong_is_named(document: str, named: str) -> None:
    with pytest.raises(TableListError) as caught:
        parse_table_list(document)
    assert named in str(caught.value)


def test_all_errors_are_reported_at_once() -> None:
    with pytest.raises(TableListError) as caught:
        parse(["a", "a", {"name": "b", "format": "xml"}, {"name": "c", "mod": 1}])
    message = str(caught.value)
    assert all(part in message for part in ('("a")', '("b")', '("c")'))


def test_patterns_bring_in_what_is_not_listed_by_name_nor_excluded() -> None:
    listed = parse_table_list(
        json.dumps(
            {"tables": ["orders", {"name": "order*", "format": "parquet"}, "*"], "exclude": ["*_tmp", "flyway*"]}
        )
    )
    existing = ["orders", "order_item", "order_tmp", "menu", "flyway_history"]
    assert [(spec.name, spec.format) for spec in listed.resolve(existing)] == [
        ("orders", "csv"),
        ("order_item", "parquet"),
        ("menu", "csv"),
    ]


def test_a_table_whose_name_looks_like_a_pattern_is_taken_by_its_name() -> None:
    listed = parse_table_list('{"tables": ["what?"]}')
    assert [spec.name for spec in listed.resolve(["what?", "whatX"])] == ["what?"]


def test_a_table_whose_name_looks_like_a_pattern_is_not_said_to_bring_in_nothing() -> None:
    listed = parse_table_list('{"tables": ["a[1]b", "c[1]d"]}')
    names = [spec.name for spec in listed.resolve(["a[1]b", "c1e"])]
    assert names == ["a[1]b"]
    assert listed.idle(names) == ['the pattern "c[1]d" in the table list brings in no table']


def test_a_table_whose_name_looks_like_a_pattern_is_excluded_by_its_name() -> None:
    listed = parse_table_list('{"tables": ["a*"], "exclude": ["a[1]b", "a[2]b"]}')
    assert [spec.name for spec in listed.resolve(["a[1]b", "a1b", "a2b"])] == ["a1b"]


def test_the_longest_name_of_another_databases_table_can_be_excluded() -> None:
    longest = QualifiedName("d" * 64, "t" * 64)
    listed = parse_table_list(json.dumps({"tables": ["*.*"], "exclude": [longest]}))
    assert [spec.name for spec in listed.resolve([longest, QualifiedName("d" * 64, "u")])] == [f"{'d' * 64}.u"]


def test_tables_whose_names_differ_by_case_are_different_tables() -> None:
    listed = parse_table_list('{"tables": ["Orders", "orders", "o*"]}')
    assert [spec.name for spec in listed.resolve(["Orders", "orders", "oRders"])] == ["Orders", "orders", "oRders"]


def test_a_table_remembers_the_pattern_that_brought_it_in() -> None:
    listed = parse_table_list('{"tables": ["orders", "order*", "what?"]}')
    resolved = listed.resolve(["orders", "order_item", "what?"])
    assert [(spec.name, spec.pattern) for spec in resolved] == [
        ("orders", None),
        ("order_item", "order*"),
        ("what?", None),
    ]


def test_a_literal_name_is_kept_whether_it_exists_or_not() -> None:
    assert [spec.name for spec in parse_table_list('{"tables": ["gone"]}').resolve([])] == ["gone"]


def test_input_takes_a_name_once_and_refuses_what_is_not_listed() -> None:
    listed = parse(["orders", "menu"])
    assert [spec.name for spec in select_tables(listed, ["menu", "menu"])] == ["menu"]
    with pytest.raises(InputError, match=r'"order".*did you mean "orders"'):
        select_tables(listed, ["order"])


def test_a_table_remembers_which_keys_are_its_own() -> None:
    own, default = parse([{"name": "a", "created_column": "made"}, "b"], defaults={"created_column": "made"})
    assert "created_column" in own.own_keys
    assert "created_column" not in default.own_keys


def test_a_pattern_that_brings_in_nothing_is_reported() -> None:
    listed = parse_table_list('{"tables": ["orders", "order_*", "zzz*"]}')
    names = [spec.name for spec in listed.resolve(["orders", "order_item"])]
    assert listed.idle(names) == ['the pattern "zzz*" in the table list brings in no table']
    assert parse_table_list('{"tables": []}').idle([]) == ["the table list is empty: nothing is extracted"]


def test_the_most_specific_pattern_wins_wherever_it_is_listed() -> None:
    listed = parse_table_list(
        json.dumps(
            {
                "tables": [
                    "*",
                    {"name": "audit_*", "mode": "compare"},
                    {"name": "audit_?", "mode": "full"},
                    {"name": "*_log", "format": "parquet"},
                ]
            }
        )
    )
    resolved = {spec.name: spec for spec in listed.resolve(["menu", "audit_x", "audit_user", "audit_log", "web_log"])}
    assert {name: spec.pattern for name, spec in resolved.items()} == {
        "menu": "*",
        "audit_x": "audit_?",
        "audit_user": "audit_*",
        "audit_log": "audit_*",
        "web_log": "*_log",
    }
    assert (resolved["audit_log"].mode, resolved["audit_log"].format) == ("compare", "csv")


def test_of_equally_specific_patterns_the_first_wins() -> None:
    listed = parse_table_list('{"tables": [{"name": "a*", "mode": "full"}, {"name": "*b", "mode": "compare"}]}')
    assert [(spec.name, spec.mode) for spec in listed.resolve(["ab"])] == [("ab", "full")]


def test_an_input_may_have_patterns_and_takes_each_table_once() -> None:
    listed = parse(["orders", "order_item", "menu", "what?"])
    assert [spec.name for spec in select_tables(listed, ["order*", "orders"])] == ["orders", "order_item"]
    assert [spec.name for spec in select_tables(listed, ["what?"])] == ["what?"]
    with pytest.raises(InputError, match=r'the pattern "zzz\*", which matches no table'):
        select_tables(listed, ["menu", "zzz*"])


def test_names_with_a_dot_are_of_other_databases_and_patterns_match_both_parts() -> None:
    existing = [
        "orders",
        "b.c",
        QualifiedName("a", "orders"),
        QualifiedName("a", "menu"),
        QualifiedName("ab", "orders"),
    ]
    listed = parse_table_list(
        json.dumps({"tables": ["*", "a.orders", {"name": "a*.*", "mode": "full"}, "b.c"], "exclude": ["*.menu"]})
    )
    resolved = {spec.name: spec for spec in listed.resolve(existing)}
    assert {name: (spec.database, spec.bare_name, spec.pattern) for name, spec in resolved.items()} == {
        "orders": (None, "orders", "*"),
        "b.c": (None, "b.c", None),  # the default database has a table of this name
        "a.orders": ("a", "orders", None),
        "ab.orders": ("ab", "orders", "a*.*"),
    }
    assert [spec.name for spec in select_tables(list(resolved.values()), ["*.orders"])] == ["a.orders", "ab.orders"]
    assert [spec.name for spec in select_tables(list(resolved.values()), ["*"])] == ["orders", "b.c"]
    assert listed.names_databases()
    assert not parse_table_list('{"tables": ["*"]}').names_databases()


def test_a_table_of_a_database_that_is_not_there_is_kept_to_fail_with_a_message() -> None:
    (gone,) = parse_table_list('{"tables": ["nowhere.orders"]}').resolve(["orders"])
    assert (gone.database, gone.bare_name) == ("nowhere", "orders")
