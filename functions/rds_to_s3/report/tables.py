"""What each table came to, and its files."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from rds_to_s3.figures import count, duration, size
from rds_to_s3.report.pieces import Json, scrolling_table, section, short, state, text

_FILES_SHOWN_OPEN = 12


def tables_section(tables: Sequence[Json]) -> str:
    if not tables:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{text(table["table"])}</th><td>{state(table["status"])}</td>'
        f'<td class="n">{count(table["rows"])}</td><td class="n">{_bytes(table)}</td>'
        f'<td class="n">{duration(table["seconds"])}</td><td class="n">{table["attempts"]}</td>'
        f"<td>{text(_after(table))}</td><td>{text(_complete_up_to(table))}</td></tr>\n"
        for table in tables
    )
    heads = [
        ("Table", ""), ("Outcome", ""), ("Rows", "n"), ("Bytes", "n"), ("Time", "n"), ("Attempts", "n"),
        ("Rows stamped after", ""), ("Complete up to", ""),
    ]  # fmt: skip
    caption = "Rows written by this run, and up to when each table is complete in the bucket, on the database's clock"
    return section("Tables", scrolling_table("tables", caption, heads, rows))


def _after(table: Json) -> str:
    if table["status"] in {"FAILED", "SKIPPED"}:
        return ""
    return short(table["window"]["after"] or "the beginning")


def _complete_up_to(table: Json) -> str:
    if table["status"] in {"FAILED", "SKIPPED"}:
        after = table["window"]["after"]
        return short(after) if after else "as before this run"
    return short(table["window"]["until"] or "")


def files_section(tables: Sequence[Json], bucket: str, region: str) -> str:
    written = [table for table in tables if table["files"]]
    if not written:
        return ""
    is_open = ' open="open"' if sum(len(table["files"]) for table in written) <= _FILES_SHOWN_OPEN else ""
    parts = []
    for table in written:
        items = "".join(f"<li>{_file(file, bucket, region)}</li>\n" for file in table["files"])
        number = len(table["files"])
        told = f"{text(table['table'])}: {number} {'file' if number == 1 else 'files'}, {_bytes(table)}"
        parts.append(f"<details{is_open}><summary>{told}</summary><ul>\n{items}</ul></details>\n")
    return section("Files", "".join(parts))


def _file(file: Json, bucket: str, region: str) -> str:
    name = f"s3://{bucket}/{file['key']}" if bucket else file["key"]
    link = f'<a href="../../{quote(file["key"])}"><code>{text(name)}</code></a>'
    console = ""
    if bucket and region:
        place = f"{bucket}?region={region}&prefix={quote(file['key'], safe='')}"
        url = f"https://{region}.console.aws.amazon.com/s3/object/{place}"
        console = f', <a class="screen" href="{text(url)}" aria-label="console: {text(name)}">console</a>'
    return f"{link}<br/>{count(file['rows'])} rows, {size(file['bytes'])}{console}"


def _bytes(table: Json) -> str:
    return size(sum(file["bytes"] for file in table["files"]))
