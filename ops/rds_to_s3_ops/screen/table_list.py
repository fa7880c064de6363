"""The table list as the operator sees it. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from rds_to_s3_ops.screen.grid import Column, Grid
from rds_to_s3_ops.screen.lines import MOST_TABLES, paragraph, rest_view, whole

if TYPE_CHECKING:
    from rds_to_s3.plan.table_list import TableList, TableSpec

_COLUMNS = [
    Column("mode"),
    Column("format", need=2),
    Column("created", need=3),
    Column("modified", need=3),
]


def table_list_view(
    table_list: TableList, place: str, resolved: Sequence[TableSpec] | None = None, *, everything: bool = False
) -> RenderableType:
    """Show the table list with every default filled in.

    Parameters
    ----------
    table_list : TableList
    place : str
        Where the list is.
    resolved : sequence of TableSpec, optional
        Every table with what it ends up with; None where the list has no pattern, so that its entries are the tables.
    everything : bool
        Whether to list every entry and table; otherwise those with their own settings come first.
    """
    parts = _settings_view(table_list.tables, "entry" if resolved is not None else "table", everything=everything)
    if resolved is not None:
        chosen = [spec for spec in resolved if spec.pattern is not None]
        parts += [Text(), *_settings_view(chosen, "table", everything=everything)]
    if table_list.exclude:
        parts.append(paragraph(f"patterns leave out: {', '.join(table_list.exclude)}"))
    parts.append(whole(place, "dim"))
    return Group(*parts)


def _settings_view(specs: Sequence[TableSpec], noun: str, *, everything: bool) -> list[RenderableType]:
    by = [Column("by the pattern", need=1)] if noun == "table" and any(spec.pattern for spec in specs) else []
    grid = Grid(noun, [*by, *_COLUMNS])
    shown = specs if everything else _with_own_settings_first(specs)
    for spec in shown:
        incremental = spec.mode == "incremental"
        grid.add(
            spec.name,
            *(spec.pattern or "" for _ in by),
            spec.mode,
            spec.format if spec.compression == "none" else f"{spec.format}, {spec.compression}",
            spec.created_column or "-" if incremental else "",
            spec.modified_column or "-" if incremental else "",
            below=[paragraph(own)] if (own := _own_settings(spec)) else [],
        )
    return [grid, *rest_view([""] * (len(specs) - len(shown)))]


def _with_own_settings_first(listed: Sequence[TableSpec]) -> list[TableSpec]:
    first = sorted(range(len(listed)), key=lambda number: not _own_settings(listed[number]))[:MOST_TABLES]
    return [listed[number] for number in sorted(first)]


def _own_settings(spec: TableSpec) -> str:
    """Return the settings of a table's own, as ``tables add --set`` takes them."""
    own = [key for key in spec.own_keys if key != "name"]
    return ", ".join(f"{key}={_value(getattr(spec, key))}" for key in own)


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
