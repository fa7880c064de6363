"""The files that the run wrote: rows, quarantine, deleted keys."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from rds_to_s3.commit.entries import FileEntry, TableEntry
from rds_to_s3.manifest.report.figures import size
from rds_to_s3.manifest.report.pieces import console_of, quarantine_id, section, text
from rds_to_s3.wording import counted

_FILES_SHOWN_OPEN = 12


def files_section(tables: Sequence[TableEntry], bucket: str, region: str) -> str:
    written = [table for table in tables if table.keys]
    if not written:
        return ""
    number = sum(len(table.keys) for table in written)
    is_open = ' open="open"' if number <= _FILES_SHOWN_OPEN else ""
    # A presigned link's signature is valid for one object only.
    where = "Links are relative: they work in the bucket or a copy of it, not behind a presigned link."
    hint = f'<p class="soft screen">{where}</p>\n'
    return section("Files", hint + "".join(_table(table, is_open, bucket, region) for table in written))


def _table(table: TableEntry, is_open: str, bucket: str, region: str) -> str:
    data, quarantine, deletes, superseded = table.files, table.quarantine, table.deletes, table.superseded
    parts = [f"{counted(len(data), 'file')}, {counted(_rows(data), 'row')}, {size(table.bytes)}"]
    content = _list(data, bucket, region)
    if quarantine:
        parts.append(f"{counted(_rows(quarantine), 'row')} in quarantine")
        content += (
            f'<p id="{text(quarantine_id(table))}">Quarantine: {counted(_rows(quarantine), "row")} that broke a check, '
            f"each with the reason</p>{_list(quarantine, bucket, region)}"
        )
    if deletes:
        parts.append(f"{counted(_rows(deletes), 'key')} deleted")
        content += (
            f"<p>Deletes: {counted(_rows(deletes), 'key')} of rows that are gone</p>{_list(deletes, bucket, region)}"
        )
    if superseded:
        content += (
            f"<p>Superseded: {counted(len(superseded), 'file')} of stopped runs, which the files above replace: do "
            f"not load them</p>{_list(superseded, bucket, region)}"
        )
    return f"<details{is_open}><summary>{text(table.table)}: {'; '.join(parts)}</summary>{content}</details>\n"


def _rows(files: Sequence[FileEntry]) -> int:
    return sum(file.rows for file in files)


def _list(files: Sequence[FileEntry], bucket: str, region: str) -> str:
    items = "".join(f"<li>{_file(file, bucket, region)}</li>\n" for file in files)
    return f"<ul>\n{items}</ul>" if files else ""


def _file(file: FileEntry, bucket: str, region: str) -> str:
    name = f"s3://{bucket}/{file.key}" if bucket else file.key
    link = f'<a href="../../{quote(file.key)}"><code>{text(name)}</code></a>'
    console = ""
    if bucket and region:
        place = f"{bucket}?region={region}&prefix={quote(file.key, safe='')}"
        url = f"{console_of(region)}/s3/object/{place}"
        console = f'<span class="screen">, <a href="{text(url)}" aria-label="console: {text(name)}">console</a></span>'
    return f"{link}<br/>{counted(file.rows, 'row')}, {size(file.bytes)}{console}"
