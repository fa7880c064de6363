"""Make a commit's files visible, or take them back where some of them were lost."""

from __future__ import annotations

import time
from dataclasses import dataclass

from rds_to_s3.commit.staged_upload import TOKEN
from rds_to_s3.commit.state import Commit, StagedFile
from rds_to_s3.s3.objects import ObjectStore, Part, UploadGoneError
from rds_to_s3.s3.side_by_side import FEW, Progress, side_by_side


@dataclass(frozen=True)
class Completion:
    """The progress of a commit's files.

    Attributes
    ----------
    visible : list of int
        Indexes in `Commit.every_file` of the visible files.
    lost : bool
        Whether a file's upload is gone and the file does not exist.
    """

    visible: list[int]
    lost: bool
    finished: bool
    error: Exception | None = None


def complete_files(store: ObjectStore, commit: Commit, seconds: float, *, resumed: bool) -> Completion:
    """Complete the uploads of a commit, in any order and side by side, within the time.

    Safe beside a predecessor or a successor that does the same: an upload is completed once, with the same result.

    Parameters
    ----------
    resumed : bool
        Whether another invocation may have completed some of them. Then the open uploads are listed, so that a visible
        file costs one request instead of two.
    """
    until = time.monotonic() + seconds
    files = commit.every_file
    known = set(commit.visible)
    numbers = [number for number in range(len(files)) if number not in known]
    open_uploads: set[str] | None = None
    if resumed and len(numbers) > FEW:
        open_uploads = {upload for folder in _folders(commit) for _, upload in store.uploads(folder)}

    def complete(place: int) -> bool:
        return _complete(store, files[place], open_uploads)

    progress = side_by_side(complete, numbers, until - time.monotonic(), go_on=bool)
    visible = [number for number, answer in zip(numbers, progress.answers, strict=True) if answer]
    return Completion(sorted([*commit.visible, *visible]), False in progress.answers, progress.finished, progress.error)


def take_back_files(store: ObjectStore, commit: Commit, seconds: float) -> bool:
    """Remove the files and uploads of a commit that is undone; return whether that is finished.

    Safe when a frozen predecessor resumes here: an upload's id is never reused, and neither is a key of an undone
    commit (`TableState.spent`). So neither request can remove anything of a successor. Uploads are removed first: after
    that nobody can complete one, and the listing of the keys has all that were completed before.
    """
    until = time.monotonic() + seconds
    files = {file.key: file for file in commit.every_file}
    uploads = {file.upload_id for file in files.values()}
    folders = _folders(commit)
    found = [each for folder in folders for each in store.uploads(folder) if each[1] in uploads]

    def abort(upload: tuple[str, str]) -> bool:
        store.abort_upload(*upload)
        return True

    def delete(key: str) -> bool:
        stored = store.head(key)
        if stored is not None and stored.metadata.get(TOKEN) == files[key].token:
            store.delete(key, if_match=stored.etag)
        return True

    if not _finished(side_by_side(abort, found, until - time.monotonic())):
        return False
    keys = [key for folder in folders for key in store.keys(folder) if key in files]
    return _finished(side_by_side(delete, keys, until - time.monotonic()))


def _finished(progress: Progress[bool]) -> bool:
    if progress.error is not None:
        raise progress.error
    return progress.finished


def _folders(commit: Commit) -> list[str]:
    return sorted({file.key.rpartition("/")[0] + "/" for file in commit.every_file})


def _complete(store: ObjectStore, file: StagedFile, open_uploads: set[str] | None) -> bool:
    if open_uploads is not None and file.upload_id not in open_uploads and _is_visible(store, file):
        return True
    try:
        store.complete_upload(file.key, file.upload_id, [Part(**part) for part in file.parts], file.bytes)
    except UploadGoneError:
        return _is_visible(store, file)
    return True


def _is_visible(store: ObjectStore, file: StagedFile) -> bool:
    # By the token, not only the key: another file may have had that key.
    stored = store.head(file.key)
    return stored is not None and stored.metadata.get(TOKEN) == file.token
