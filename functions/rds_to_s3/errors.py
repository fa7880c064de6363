"""The errors of rds-to-s3: the state machine's retry contract.

Step Functions sees an exception's class name as the error's name. A subclass of `PermanentError` ends its table (or the
run) at once, since a retry cannot help. Every other error is retried with a backoff. The retriers in
``statemachine/extract_tables.asl.json`` list the errors of each state as `RAISED_BY` does. Tests compare the two, and
compare each state's code with `RAISED_BY`.

An operator reads the messages at night: each says what is wrong and what to do. No message contains a secret.
"""

from __future__ import annotations

from dataclasses import dataclass


class RdsToS3Error(Exception):
    """Base of every error that this project raises on purpose."""


class PermanentError(RdsToS3Error):
    """A retry cannot help: an operator has to change something first."""


class TransientError(RdsToS3Error):
    """It may pass without a change: the state machine retries."""


@dataclass(frozen=True)
class Meaning:
    """What an error of another system means.

    Attributes
    ----------
    cause : str
        A clause.
    remedy : str
        Sentences. What is to be run in it runs as printed, once its fields are filled in.
    """

    error: type[RdsToS3Error]
    cause: str
    remedy: str

    def in_words(self, **facts: str) -> str:
        """Return cause and remedy with their fields filled in."""
        return f"{self.cause}. {self.remedy}".format(**facts)


# --- what an operator wrote -------------------------------------------------------------------------------------


class TableListError(PermanentError):
    """The table list is not what `docs/table-list.md` describes; the message names the key."""


class InputError(PermanentError):
    """The execution's input is malformed or names a table that is not listed."""


class UnknownRunError(PermanentError):
    """``rerun_failed_of`` names a run that left no manifest, or one that cannot be re-run."""


class SettingsError(PermanentError):
    """A function's environment, so a stack parameter, is missing or malformed."""


class WatermarkMalformedError(PermanentError):
    """``last_extract.txt`` does not hold a timestamp; the message names the key."""


# --- the database -----------------------------------------------------------------------------------------------


class TableNotFoundError(PermanentError):
    """The table is not in the database, or the user may not see it."""


class ColumnNotFoundError(PermanentError):
    """A column that the table list names is not in the table."""


class NotATableError(PermanentError):
    """The name is a view's: a view stores no rows to keep a watermark for."""


class NoCursorColumnError(PermanentError):
    """An incremental table has neither a created nor a modified column."""


class ColumnTypeError(PermanentError):
    """A cursor column is not a DATE, DATETIME or TIMESTAMP."""


class CredentialsNotFoundError(PermanentError):
    """The secret or parameter that should hold the credentials is missing, unreadable or incomplete."""


class DatabaseLoginError(PermanentError):
    """The server refused the user or the password, also after fetching the credentials anew."""


class DatabaseAccessError(PermanentError):
    """The user lacks a privilege on the table; the message has the GRANT that is missing."""


class DatabaseRefusedError(PermanentError):
    """The server refuses the connection, with any password: the message says what to change there."""


class DatabaseTlsError(PermanentError):
    """The server's certificate could not be verified, or it offers no TLS."""


class SessionVariableError(PermanentError):
    """The session inherits a variable that changes what a SELECT yields, and setting it has no effect."""


class DatabaseUnreachableError(TransientError):
    """No connection within the bounded wait: network, security group, or a server that is down."""


class DatabaseBusyError(TransientError):
    """The server refuses for now: it has no connection, memory or disk left, or it starts or shuts down."""


class ReplicaProgressError(PermanentError):
    """The server is a replica, and its lag cannot be read; the message has the GRANT or another remedy."""


class ReplicaStoppedError(TransientError):
    """The server is a replica and has not applied anything yet, so its lag is unknown."""


class ReplicaBehindError(TransientError):
    """The server has fewer commits than the run's plan, or the table's last read, saw on another server."""


class SourceChangedError(PermanentError):
    """The credentials name another database than when the run was planned."""


class ReadInterruptedError(TransientError):
    """The read ended before its result set did: killed, timed out, connection lost, or the table was altered."""


class RowsUnreadableError(PermanentError):
    """The server cannot read the table's rows, or cannot compute a virtual column of one; the message has a remedy."""


class RowCountError(TransientError):
    """The number of rows written, or of tables or columns listed, differs from the server's count."""


class CannotResumeError(PermanentError):
    """The table has no usable key and does not fit into one invocation."""


class DiskFullError(PermanentError):
    """The function's /tmp has no room for a very long row, or for the keys of a table whose deletes are tracked."""


# --- the data ---------------------------------------------------------------------------------------------------


class ChecksFailedError(PermanentError):
    """Rows break a check of a table with ``on_violation: fail``; the message has check, count and a few keys."""


class NoKeyError(PermanentError):
    """Deletes of the table are to be tracked, and it has no key to identify its rows."""


class RowTooLargeError(PermanentError):
    """A row is larger than the table's format can take in bounded memory."""


class DriftError(PermanentError):
    """The table's columns have changed since its last commit, and its ``on_drift`` is ``fail``."""


# --- the bucket -------------------------------------------------------------------------------------------------


class StorageRefusedError(PermanentError):
    """S3 refused: the bucket's policy, the role, or the key does not allow it."""


class StateMalformedError(PermanentError):
    """An object under ``_state/`` is not one that this release writes; the message names the key."""


class StorageUnavailableError(TransientError):
    """S3 did not answer, or failed."""


class StoredBytesError(TransientError):
    """S3 stored other bytes than were sent: a size or checksum differs."""


class LeaseLostError(TransientError):
    """Another invocation took this table over; nothing of this one became visible."""


# --- how a run ends ---------------------------------------------------------------------------------------------


class TablesFailed(PermanentError):  # noqa: N818 - the execution's error name is part of the contract
    """Some tables failed; the others are committed and the manifest is written."""


class PlanFailed(PermanentError):  # noqa: N818 - named like TablesFailed, which the history shows beside it
    """The run could not be planned; no table was read."""


# --- where they come from ---------------------------------------------------------------------------------------

_OF_A_RUN = (TableListError, InputError, UnknownRunError, SettingsError)
_OF_THE_DATABASE = (
    TableNotFoundError,
    ColumnNotFoundError,
    NotATableError,
    ColumnTypeError,
    CredentialsNotFoundError,
    DatabaseLoginError,
    DatabaseAccessError,
    DatabaseRefusedError,
    DatabaseTlsError,
    SessionVariableError,
    ReplicaProgressError,
    RowsUnreadableError,
)
_OF_A_TABLE = (
    NoCursorColumnError,
    SourceChangedError,
    CannotResumeError,
    DiskFullError,
    ChecksFailedError,
    NoKeyError,
    RowTooLargeError,
    DriftError,
)
_OF_THE_BUCKET = (WatermarkMalformedError, StorageRefusedError, StateMalformedError)

RAISED_BY: dict[str, tuple[type[PermanentError], ...]] = {
    "PlanRun": (*_OF_A_RUN, *_OF_THE_DATABASE, StorageRefusedError),
    "ExtractTable": (*_OF_A_RUN, *_OF_THE_DATABASE, *_OF_A_TABLE, *_OF_THE_BUCKET),
    "WriteManifest": (*_OF_A_RUN, TableNotFoundError, *_OF_THE_BUCKET),
    "CheckRun": (SettingsError, StorageRefusedError, TablesFailed, PlanFailed),
}
"""The permanent errors that each state of the state machine can end with."""
