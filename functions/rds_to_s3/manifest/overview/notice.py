"""The notice of a run: what is new and needs somebody, as one short mail. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from rds_to_s3.bucket_keys import INDEX_KEY, report_key
from rds_to_s3.commit.read_as import FEW_HEALED
from rds_to_s3.manifest.overview.standing import Standings
from rds_to_s3.manifest.report.figures import duration
from rds_to_s3.manifest.report.pieces import console_of, moment
from rds_to_s3.reported.manifest import Manifest
from rds_to_s3.wording import counted, first_names

MOST_TABLES = 15
LONGEST_SUBJECT = 100  # of SNS: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
LONGEST_ERROR = 400


@dataclass(frozen=True)
class Notice:
    """A mail."""

    subject: str
    body: str


def notice_of(
    manifest: Manifest,
    before: Standings,
    after: Standings,
    lags: Mapping[str, float],
    *,
    is_new: bool,
    limit_hours: float,
    bucket: str,
    region: str,
) -> Notice | None:
    """Return what to send after a run; None if nothing is new.

    A table that still fails, or is still behind, was in the notice of the run with which that began.

    Parameters
    ----------
    before, after : Standings
        How the tables were before the run, and are after it.
    lags : mapping of str to float
        Seconds that each table is behind.
    is_new : bool
        Whether this manifest, or this redrive of it, was not in the history before.
    """
    news: dict[str, list[str]] = {}
    failing = [name for name, table in after.tables.items() if table.failed_runs]
    new = [name for name in failing if not _failed(before, name)]
    news["failing"] = [_failure(after, name) for name in new]
    news["behind"] = [
        f"{name}: {duration(lags[name])} behind the database; the limit is {duration(limit_hours * 3600)}"
        for name in after.behind
        if name not in before.behind and name in lags
    ]
    healed = [table for table in manifest.tables if table.proof and table.proof.healed > FEW_HEALED]
    fresh = [table for table in healed if is_new and table.redrive == manifest.redrives]
    news["with rows healed"] = [
        f"{table.table}: {counted(table.proof.healed, 'row')} differed from the files, and were delivered again"
        for table in fresh
        if table.proof
    ]
    gone = [name for name in before.tables if name not in after.tables]
    news["no longer listed"] = [f"{first_names(gone, MOST_TABLES)}: their files and watermarks stay"] if gone else []
    news["well again"] = [
        f"{name}: failed since {_instant(before.tables[name].failing_since)}"
        for name in after.tables
        if _failed(before, name) and not after.tables[name].failed_runs
    ]
    unplanned = [f"{manifest.error.type}: {manifest.error.message}"] if manifest.error else []
    if not unplanned and not any(news.values()):
        return None
    lines = [f"Run {manifest.run_id}, started {_instant(manifest.started_at)}: {manifest.status}", ""]
    if unplanned:
        lines += ["It could not be planned:", *unplanned, f"Next: rds-to-s3 redrive {manifest.run_id}", ""]
    for what, each in news.items():
        if each:
            lines += [f"{what.capitalize()}:", *_listed(each), ""]
    if new:
        lines += [f"Next: rds-to-s3 redrive {manifest.run_id}", ""]
    if old := [name for name in failing if name not in new]:
        lines += [f"Still failing: {first_names(old, MOST_TABLES)}", ""]
    lines += [f"All tables: {_link(bucket, region, INDEX_KEY)}"]
    lines += [f"This run:   {_link(bucket, region, report_key(manifest.run_id))}"]
    return Notice(_subject(bucket, news, planned=not unplanned), "\n".join(lines))


def _failed(standings: Standings, name: str) -> bool:
    return name in standings.tables and standings.tables[name].failed_runs > 0


def _failure(standings: Standings, name: str) -> str:
    failure = standings.tables[name].failures[0]
    message = failure.message if len(failure.message) <= LONGEST_ERROR else f"{failure.message[:LONGEST_ERROR]}..."
    return f"{name}: {failure.type}: {message}"


def _listed(each: Collection[str]) -> list[str]:
    lines = [f"- {line}" for line in list(each)[:MOST_TABLES]]
    return lines if len(each) <= MOST_TABLES else [*lines, f"- and {len(each) - MOST_TABLES} more"]


def _subject(bucket: str, news: Mapping[str, Collection[str]], *, planned: bool) -> str:
    parts = [f"{len(each)} {what}" for what, each in news.items() if each and what != "no longer listed"]
    parts += ["the list shrank"] if news["no longer listed"] else []
    subject = f"{bucket}: {', '.join(parts) if planned else 'a run could not be planned'}"
    return subject if len(subject) <= LONGEST_SUBJECT else f"{subject[: LONGEST_SUBJECT - 3]}..."


def _instant(instant: str | None) -> str:
    return f"{moment(instant):%Y-%m-%d %H:%M} UTC" if instant else "an earlier run"


def _link(bucket: str, region: str, key: str) -> str:
    if not region:
        return f"s3://{bucket}/{key}"
    return f"{console_of(region)}/s3/object/{bucket}?region={region}&prefix={quote(key, safe='')}"
