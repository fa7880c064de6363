"""Write ``runs/index.html``. Runs that end at the same time write it in the order of what they know."""

from __future__ import annotations

from rds_to_s3.bucket_keys import INDEX_KEY
from rds_to_s3.errors import StorageUnavailableError
from rds_to_s3.manifest.overview.page import Facts, generation_of, render_overview
from rds_to_s3.s3.objects import ConditionFailedError, ObjectStore

TRIES = 20


def write_overview(store: ObjectStore, facts: Facts) -> None:
    """Write the page, unless the one that is there knows more.

    Every page is of a history that includes all earlier ones, so the page of the highest generation has every run.

    Raises
    ------
    StorageUnavailableError
        Other functions kept writing it.
    """
    page = render_overview(facts).encode(errors="backslashreplace")
    for _ in range(TRIES):
        there = store.get(INDEX_KEY)
        if there is not None and generation_of(there.body) > facts.standings.generation:
            return
        try:
            store.replace(INDEX_KEY, page, there, content_type="text/html; charset=utf-8")
        except ConditionFailedError:
            continue
        return
    raise StorageUnavailableError(f"other functions kept writing {INDEX_KEY}")
