"""What must hold after every request, and what once a last quiet run has ended."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from rds_to_s3.bucket_keys import (
    data_prefix,
    key_runs_prefix,
    ledger_prefix,
    range_key,
    ranges_prefix,
    seen_prefix,
    state_key,
    tail_key,
    watermark_key,
)
from rds_to_s3.commit.staged_upload import TOKEN
from rds_to_s3.commit.state import Commit, Staged
from rds_to_s3.reported.register import Reported
from tests.explorer.actor import Actor
from tests.explorer.bucket import Bucket
from tests.explorer.choices import Violation
from tests.explorer.source import TABLE, rows_after
from tests.explorer.worker import Request
from tests.explorer.world import World

Json = dict[str, Any]
FORMAT = "csv"
REGISTER = state_key(TABLE, FORMAT)
WATERMARK = watermark_key(TABLE, FORMAT)
DATA = data_prefix(TABLE, FORMAT)
DELETES = f"{TABLE}/deletes/"
MADE_ONCE = (ledger_prefix(TABLE, FORMAT), key_runs_prefix(TABLE, FORMAT))


@lru_cache(maxsize=4096)
def _parsed(body: bytes) -> Json:
    state: Json = json.loads(body)
    return state


def register_of(bucket: Bucket) -> Json:
    """Return the table's state."""
    item = bucket.objects.get(REGISTER)
    return _parsed(item.body) if item is not None else {"lease": None, "staged": None, "commit": None}


def files_of(part: Json | None) -> list[Json]:
    """Return the files that a commit or staged progress names."""
    return [file for kind in ("files", "quarantine", "deletes") for file in (part or {}).get(kind) or []]


def is_visible(bucket: Bucket, file: Json) -> bool:
    """Whether a commit's file is in the bucket."""
    item = bucket.objects.get(file["key"])
    return item is not None and item.metadata.get(TOKEN) == file["token"]


def maker_of(token: str) -> str:
    """Return the invocation that made a token."""
    return token.rpartition(".")[0]


def watch(world: World, actor: Actor, request: Request, before: Bucket) -> None:
    """Look at the bucket after a request that changed it.

    Raises
    ------
    Violation
    """
    operation, arguments = request
    key = arguments["key"]
    bucket = world.bucket
    if operation == "put" and key.startswith(MADE_ONCE) and key in before.objects:
        if before.objects[key].body != bucket.objects[key].body:
            raise Violation("made once", f"{key} was written a second time, with other bytes")
    elif operation == "put" and key == REGISTER:
        _register(actor, world, register_of(before), register_of(bucket))
    elif operation == "put" and key == WATERMARK and actor.name != "operator":
        _watermark(bucket, before, register_of(bucket)["commit"])
    elif operation == "put" and key.endswith("/reported.json"):
        _reported(_parsed(bucket.objects[key].body), register_of(bucket)["commit"])
    elif operation == "complete_upload":
        _visible(bucket, before, key, arguments["upload_id"])
    elif operation in {"delete", "abort_upload"} and actor.name != "lifecycle":
        _removed(actor, operation, arguments, before)


def _register(actor: Actor, world: World, old: Json, new: Json) -> None:
    lease, taken = old["lease"], new["lease"]
    if lease and taken and lease["run_id"] != taken["run_id"] and lease["expires_at"] > world.clock():
        raise Violation("one holder", f"{actor.invoked} took a lease that run {lease['run_id']} still holds")
    commit = new["commit"]
    decided = commit is not None and not commit["applied"] and commit["token"] != (old["commit"] or {}).get("token")
    if not decided or maker_of(commit["token"]) != actor.invoked:
        return  # nothing was decided; or a decision was undone
    if lease is None or maker_of(lease["token"]) != actor.invoked:
        raise Violation("one holder", f"{actor.invoked} decided without the lease")
    if lease["expires_at"] <= actor.answered_at:
        raise Violation(
            "lease expires", f"{actor.invoked} decided although its lease had expired, and it could have known"
        )


def _watermark(bucket: Bucket, before: Bucket, commit: Json | None) -> None:
    text = bucket.objects[WATERMARK].body.decode()
    old = before.objects.get(WATERMARK)
    if old is not None and old.body.decode() == text:
        return
    if commit is None or commit["applied"] or commit["watermark"] != text:
        raise Violation("watermark", f"the watermark was moved to {text}, which no decision asks for any more")
    if (old.etag if old is not None else None) != commit["watermark_before"]:
        raise Violation(
            "watermark", "the watermark was moved, though somebody else had changed it since the read began"
        )
    missing = [file["key"] for file in files_of(commit) if not is_visible(bucket, file)]
    if missing:
        raise Violation("watermark ahead", f"the watermark is ahead of what is visible: {missing[0]} is missing")


def _visible(bucket: Bucket, before: Bucket, key: str, upload_id: str) -> None:
    commit = register_of(bucket)["commit"]
    if not any(file["upload_id"] == upload_id for file in files_of(commit)):
        raise Violation("named", f"{key} became visible, and no commit names it")
    if key in before.objects:
        raise Violation("overwritten", f"{key} was visible, and has been overwritten")


def _reported(document: Json, commit: Json | None) -> None:
    manifest = document["manifest"]
    if manifest is None or manifest["tables"][0]["status"] not in {"SUCCEEDED", "UNCHANGED"}:
        return
    chain = [*commit["unreported"], *([commit] if commit["applied"] else [])] if commit is not None else []
    own = [each["record"] for each in chain if each["run_id"] == manifest["run_id"]]
    reported = Reported.model_validate(document)
    named = {*(reported.manifest.keys if reported.manifest else ()), *reported.taken_keys}
    for file in [file for record in own for file in files_of(record)]:
        if file["key"] not in named:
            raise Violation("own files", f"run {manifest['run_id']} does not report its own {file['key']}")


def _removed(actor: Actor, operation: str, arguments: Json, before: Bucket) -> None:
    key = arguments["key"]
    if operation == "abort_upload":
        upload = before.started.get(arguments["upload_id"])
        maker = upload.maker if upload is not None else None
    else:
        item = before.objects.get(key)
        maker = item.maker if item is not None and arguments.get("if_match") in {None, item.etag} else None
    if maker is None:
        return  # it was gone already
    state = register_of(before)
    holder = maker_of(state["lease"]["token"]) if state["lease"] else None
    if holder == actor.invoked:
        return
    thing = f"{key} ({operation})"
    if maker == holder:
        raise Violation(
            "living successor", f"{actor.invoked} removed {thing}, which {holder} made, the holder of the table"
        )
    if arguments.get("upload_id", key) in set(_named(state, before)):
        raise Violation("living successor", f"{actor.invoked} removed {thing}, which the table's state names")


def _named(state: Json, bucket: Bucket) -> Iterator[str]:
    """Yield the keys and the uploads that a state needs, and the registers of its ranges."""
    staged = Staged.model_validate(state["staged"]) if state["staged"] else None
    commit = Commit.model_validate(state["commit"]) if state["commit"] else None
    progress = [staged] if staged is not None else []
    if staged is not None and staged.division is not None:
        for number in range(1, staged.division.ranges + 1):
            key = range_key(TABLE, FORMAT, staged.division.token, number)
            if key in bucket.objects:
                yield key
                own = _parsed(bucket.objects[key].body)["staged"]
                progress += [Staged.model_validate(own)] if own else []
    for part in (*progress, commit):
        for file in part.every_file if part is not None else []:
            yield file.upload_id
            yield file.key
    for part in progress:
        yield from part.objects
    if commit is not None:
        yield from commit.tail.keys if commit.tail is not None else []
        yield from (run.key for run in commit.key_runs)


# --- at the end ---


def violations_at_the_end(world: World, status: str, *, twice: bool) -> Iterator[Violation]:
    """Look at everything, once a last quiet run has ended.

    Parameters
    ----------
    status : str
        What that run came to.
    twice : bool
        Whether rows may come twice: somebody rewound the watermark.
    """
    bucket = world.bucket
    if status not in {"SUCCEEDED", "UNCHANGED"}:
        yield Violation("blocked", f"the last run ended {status}")
    delivered = [row for key in _keys(bucket, DATA) for row in _rows(bucket.objects[key].body)]
    table = rows_after(world.script)
    newest = {int(row["id"]): row["note"] for row in delivered}
    wanted = {key: row[0] for key, row in table.items()}
    for key, note in wanted.items():
        if key not in newest:
            yield Violation("lost", f"row {note!r} is lost")
        elif newest[key] != note:
            yield Violation("lost", f"row {note!r} is lost: the newest that was delivered is {newest[key]!r}")
    if not twice:
        for note, count in Counter(row["note"] for row in delivered).items():
            if count > 1:
                yield Violation("twice", f"row {note!r} was delivered {count} times")
    if world.rules.spec.deletes == "track":
        yield from _deletes(bucket, set(newest), set(wanted))
    yield from _manifests(bucket)
    yield from _leftovers(bucket)


def _deletes(bucket: Bucket, delivered: set[int], there: set[int]) -> Iterator[Violation]:
    gone = Counter(int(row["id"]) for key in _keys(bucket, DELETES) for row in _rows(bucket.objects[key].body))
    for key in sorted(delivered - there - set(gone)):
        yield Violation("delete lost", f"row {key} was deleted, and no file reports it")
    for key, count in gone.items():
        if count > 1:
            yield Violation("delete twice", f"the delete of row {key} is reported {count} times")
        if key in there:
            yield Violation("delete wrong", f"row {key} is reported as deleted, and is in the table")


def _manifests(bucket: Bucket) -> Iterator[Violation]:
    named: list[Json] = []
    for key, item in bucket.objects.items():
        if key.startswith("runs/") and key.endswith("/manifest.json"):
            named += [file for entry in json.loads(item.body)["tables"] for file in files_of(entry)]
    counts = Counter(file["key"] for file in named)
    visible = {*_keys(bucket, DATA), *_keys(bucket, DELETES)}
    for key, count in counts.items():
        if count > 1:
            yield Violation("in two manifests", f"{key} is in {count} manifests")
        if key not in visible:
            yield Violation("not there", f"{key} is in a manifest, and not in the bucket")
    for key in sorted(visible - set(counts)):
        yield Violation("in no manifest", f"{key} is visible, and in no manifest")
    for file in named:
        stored = bucket.objects.get(file["key"])
        if stored is not None and hashlib.sha256(stored.body).hexdigest() != file["sha256"]:
            yield Violation("other bytes", f"{file['key']} has other bytes than its manifest says")


def _leftovers(bucket: Bucket) -> Iterator[Violation]:
    state = register_of(bucket)
    left = [upload.key for upload in bucket.started.values()]
    left += [f"the {part} in the table's state" for part in ("lease", "staged") if state[part] is not None]
    commit = state["commit"] or {}
    if not commit.get("applied"):
        yield Violation("blocked", "the last decision is not carried out")
    tails = set(_keys(bucket, tail_key(TABLE, FORMAT, "").removesuffix(".bin")))
    runs = set(_keys(bucket, key_runs_prefix(TABLE, FORMAT)))
    named_tails = set((commit.get("tail") or {}).get("keys", []))
    named_runs = {run["key"] for run in commit.get("key_runs", [])}
    for key in sorted((named_tails - tails) | (named_runs - runs)):
        yield Violation("state gone", f"{key} is gone, and the table's state names it")
    # Runs of keys that a merge has replaced stay until the next run.
    own = [*_keys(bucket, seen_prefix(TABLE, FORMAT)), *_keys(bucket, ranges_prefix(TABLE, FORMAT))]
    for key in sorted([*left, *(tails - named_tails), *own]):
        yield Violation("left over", f"{key} is left over")


def _keys(bucket: Bucket, prefix: str) -> list[str]:
    return sorted(key for key in bucket.objects if key.startswith(prefix) and key != WATERMARK)


@lru_cache(maxsize=4096)
def _rows(body: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body.decode())))
