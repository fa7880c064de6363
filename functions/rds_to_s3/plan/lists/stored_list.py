"""A table list in the bucket: the parameter holds ``{"from": "s3://<data bucket>/<key>"}`` and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import unquote

from rds_to_s3.bucket_keys import segment
from rds_to_s3.errors import StorageRefusedError, TableListError
from rds_to_s3.plan.lists.patterns import is_pattern
from rds_to_s3.plan.table_list import TableList, parse_table_list
from rds_to_s3.s3.objects import ObjectStore, StoredObject

FROM = "from"
OWN_PREFIXES = ("_state/", "runs/")
_SCHEME = "s3://"


@dataclass(frozen=True)
class ListPlace:
    """Where a list is, and which version of it was read.

    Attributes
    ----------
    version : str
        S3's version id; the ETag in a bucket without versions.
    """

    url: str
    version: str

    def as_dict(self) -> dict[str, str]:
        """Return what the manifest's ``table_list`` shows."""
        return {"from": self.url, "version": self.version}


def pointer_of(document: str) -> str | None:
    """Return the URL in a parameter that points to the bucket, None for a list.

    Raises
    ------
    TableListError
        The document is a pointer and has other keys, too, or its URL is no text.
    """
    try:
        data = json.loads(document)
    except ValueError:
        return None  # the list's own parser reports it
    if not isinstance(data, dict) or FROM not in data:
        return None
    if set(data) != {FROM} or not isinstance(data[FROM], str):
        raise TableListError(
            'the table list: "from" is the only key of a document that points to the bucket, and its value is a URL: '
            '{"from": "s3://<data bucket>/<key>"}'
        )
    return str(data[FROM])


def key_of(url: str, bucket: str) -> str:
    """Return the key in the URL of a list.

    Raises
    ------
    TableListError
        It is not in the data bucket, or among what runs write there.
    """
    place, _, key = url.removeprefix(_SCHEME).partition("/")
    if not url.startswith(_SCHEME) or not key or place != bucket:
        raise TableListError(
            f"the table list is at {url!r}: it must be an object in the data bucket, s3://{bucket}/<key>"
        )
    if key.startswith(OWN_PREFIXES) or key.endswith("/"):
        raise TableListError(
            f"the table list cannot be at {url!r}: runs write below {' and '.join(OWN_PREFIXES)}. Put it elsewhere in "
            f"the bucket, such as s3://{bucket}/table-list.json"
        )
    return key


def parse_stored_list(stored: StoredObject | None, url: str, bucket: str) -> TableList:
    """Check the list in an object.

    Raises
    ------
    TableListError
        There is no such object, it is no table list, or it is below the prefix of a table that it lists.
    """
    key = key_of(url, bucket)
    if stored is None:
        raise TableListError(f"the table list is at {url!r}, and there is no such object: put the list there")
    try:
        document = stored.body.decode("utf-8")
    except UnicodeDecodeError:
        raise TableListError(f"the table list at {url!r} is not UTF-8") from None
    try:
        listed = parse_table_list(document)
    except TableListError as error:
        raise TableListError(f"{error} (at {url})") from None
    first, _, rest = key.partition("/")
    for spec in listed.tables if rest else ():
        is_below = segment(spec.name) == first or (is_pattern(spec.name) and fnmatchcase(unquote(first), spec.name))
        if is_below:
            raise TableListError(
                f"the table list cannot be at {url!r}: files of table {unquote(first)!r} are below {first}/. Put it "
                f"elsewhere in the bucket, such as s3://{bucket}/table-list.json"
            )
    return listed


@contextmanager
def in_parameter(name: str) -> Iterator[None]:
    """Name the SSM parameter in the errors of a list that it holds."""
    try:
        yield
    except TableListError as error:
        if not name:
            raise
        raise TableListError(f"{error} (in the SSM parameter {name})") from None


def read_table_list(document: str, store: ObjectStore, parameter: str = "") -> tuple[TableList, ListPlace | None]:
    """Read a list, from the parameter's document or from where it points.

    Parameters
    ----------
    document : str
        The parameter's value.
    parameter : str
        Its name, for errors.

    Raises
    ------
    TableListError
    """
    with in_parameter(parameter):
        url = pointer_of(document)
        if url is None:
            return parse_table_list(document), None
    try:
        stored = store.get(key_of(url, store.bucket))
    except StorageRefusedError as error:
        raise TableListError(
            f"the table list at {url!r} cannot be read: PlanRun may read one object besides what runs write, the one "
            f"that the stack parameter TableListKey names. Deploy with its key. ({error})"
        ) from None
    listed = parse_stored_list(stored, url, store.bucket)
    return listed, ListPlace(url, (stored.version or stored.etag) if stored is not None else "")
