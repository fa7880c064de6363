"""What to do about a file that is gone or damaged, and what a verification leaves out."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rds_to_s3.timestamps import short
from rds_to_s3.wording import counted, first_names

if TYPE_CHECKING:
    from rds_to_s3.commit.entries import TableEntry
    from rds_to_s3.plan.table_list import TableList
    from rds_to_s3.reported.manifest import Manifest
    from rds_to_s3_ops.deployment.bucket import Bucket
    from rds_to_s3_ops.verify.reading.stored_files import FileCheck


def extract_again(bucket: Bucket, broken: Iterable[FileCheck]) -> list[str]:
    """Return what to do about broken files: first an earlier version of the object, or else the rows once more."""
    checks = list(broken)
    if not checks:
        return []
    steps = [
        "The bucket keeps earlier versions of an object. To see them, and to copy the right one over the broken one:",
        *(
            f"  aws s3api list-object-versions --bucket {bucket.name} --prefix {shlex.quote(check.key)}"
            for check in checks[:1]
        ),
        "If there is none, extract the rows again, in new files:",
    ]
    of_table: dict[str, list[TableEntry]] = {}
    for check in checks:
        manifest = bucket.manifest(check.run_id)
        entry = manifest.table(check.table) if manifest else None
        if entry is not None:
            of_table.setdefault(check.table, []).append(entry)
    for table, entries in of_table.items():
        name = shlex.quote(table)
        afters = [entry.window.after for entry in entries]
        known = [after for after in afters if after]
        if any(entry.mode == "full" for entry in entries):
            steps.append(f"  rds-to-s3 run --table {name}")
            continue
        target = f"{shlex.quote(short(min(known)))}" if len(known) == len(afters) else "--all"
        steps.append(f"  rds-to-s3 rewind {name} {target}   and then: rds-to-s3 run --table {name}")
    return steps


def left_out(manifest: Manifest, listed: TableList, *, chosen: bool) -> str:
    """Say which files a verification of one run does not look at.

    Parameters
    ----------
    chosen : bool
        Whether the operator named the run.
    """
    names = {table.table for table in manifest.tables}
    others = [spec.name for spec in listed.tables if not spec.is_pattern and spec.name not in names]
    unread = "the files of all other runs" if chosen else f"the files of all runs but the newest, {manifest.run_id}"
    if others:
        unread += f", and {counted(len(others), 'listed table')} that this run did not have: {first_names(others)}"
    return f"{unread}. rds-to-s3 verify --all looks at every file of every listed table"
