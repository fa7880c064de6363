"""Every key in the bucket: data files, watermarks, state, plans, records, manifests, reports."""

from __future__ import annotations

import re
from urllib.parse import quote

LATEST_MANIFEST_KEY = "runs/latest.json"
INDEX_KEY = "runs/index.html"
HISTORY_KEY = "_state/history.json"
CHECK_KEY = "_state/check"
"""What PlanRun writes and reads back when it is asked what it reaches."""
LAST_PART = 9_999
"""The last part number of a window: with five digits the order of the keys would not be that of the numbers."""
_PART = re.compile(r"_part(\d{4,})(?:\.[a-z0-9]+)+$")  # at the end: a table's own name may have such a part
_PARTITION = re.compile(r"[^/]+/(?:csv|parquet)/dt=(\d{4}-\d{2}-\d{2})/[^/]+$")
_ENDING = re.compile(r"(_part\d{4,})?(\.[a-z0-9]+)+$")


def segment(name: str) -> str:
    """Turn a table's name into one segment of a key. Characters with a meaning in keys are escaped."""
    if name in {".", ".."}:
        return name.replace(".", "%2E")
    return "".join(quote(c, safe="") if c in "/\\%?#" or ord(c) < 32 or ord(c) == 127 else c for c in name)


def data_prefix(table: str, file_format: str) -> str:
    """Return the prefix of the keys of a table's files and of its watermark."""
    return f"{segment(table)}/{file_format}/"


def data_stem(table: str, file_format: str, stamp: str, layout: str = "flat") -> str:
    """Return the keys of a window's files up to the window's end.

    Parameters
    ----------
    stamp : str
        The window's end, ``YYYYMMDD_HHMMSS``.
    layout : {"flat", "hive"}
        With ``hive``, the files of a day are in a folder of their own, as Hive names its partitions.

    Examples
    --------
    >>> data_stem("orders", "csv", "20250402_120000", "hive")
    'orders/csv/dt=2025-04-02/orders_data_20250402_120000'
    """
    folder = f"dt={stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}/" if layout == "hive" else ""
    return f"{data_prefix(table, file_format)}{folder}{segment(table)}_data_{stamp}"


def data_key(table: str, file_format: str, stamp: str, part: int, extension: str, *, layout: str = "flat") -> str:
    """Return the key of a window's file.

    Parameters
    ----------
    stamp, layout : str
        As for `data_stem`.
    part : int
        From 1; the first has no suffix.

    Examples
    --------
    >>> data_key("orders", "csv", "20250402_120000", 2, "csv")
    'orders/csv/orders_data_20250402_120000_part0002.csv'
    """
    suffix = "" if part == 1 else f"_part{part:04d}"
    return f"{data_stem(table, file_format, stamp, layout)}{suffix}.{extension}"


def partition_of(key: str) -> str | None:
    """Return the date of the folder in which a data file is; None in the flat layout.

    Examples
    --------
    >>> partition_of("orders/csv/dt=2025-04-02/orders_data_20250402_120000.csv")
    '2025-04-02'
    """
    return match[1] if (match := _PARTITION.match(key)) else None


def side_prefix(table: str, kind: str) -> str:
    """Return the prefix of the keys of a table's other files: ``quarantine`` or ``deletes``."""
    return f"{segment(table)}/{kind}/"


def side_key(table: str, kind: str, stamp: str, part: int) -> str:
    """Return the key of a file of that kind.

    Examples
    --------
    >>> side_key("orders", "quarantine", "20250402_120000", 1)
    'orders/quarantine/orders_quarantine_20250402_120000.csv'
    """
    suffix = "" if part == 1 else f"_part{part:04d}"
    return f"{side_prefix(table, kind)}{segment(table)}_{kind}_{stamp}{suffix}.csv"


def part_of(key: str) -> int:
    """Return the part number in a file's key.

    Examples
    --------
    >>> part_of("orders/csv/orders_data_20250402_120000.csv")
    1
    """
    return int(match[1]) if (match := _PART.search(key)) else 1


def stem_of(key: str) -> str:
    """Return a file's key up to its window's end, which all files of a window share."""
    return _ENDING.sub("", key)


def watermark_key(table: str, file_format: str) -> str:
    """Return the key of ``last_extract.txt``."""
    return f"{data_prefix(table, file_format)}last_extract.txt"


def state_key(table: str, file_format: str) -> str:
    """Return the key of a table's state."""
    return f"_state/tables/{segment(table)}/{file_format}.json"


def tail_key(table: str, file_format: str, token: str) -> str:
    """Return the key of a list of digests."""
    return f"_state/tails/{segment(table)}/{file_format}/{token}.bin"


def seen_prefix(table: str, file_format: str) -> str:
    """Return the prefix of the keys of unique columns' values, which are kept while a long read continues."""
    return f"_state/seen/{segment(table)}/{file_format}/"


def seen_key(table: str, file_format: str, token: str, number: int) -> str:
    """Return the key of some of them."""
    return f"{seen_prefix(table, file_format)}{token}_{number:04d}.bin"


def key_runs_prefix(table: str, file_format: str) -> str:
    """Return the prefix of the keys of a table's runs of delivered keys."""
    return f"_state/keys/{segment(table)}/{file_format}/"


def key_run_key(table: str, file_format: str, token: str, number: int) -> str:
    """Return the key of one of them."""
    return f"{key_runs_prefix(table, file_format)}{token}_{number:04d}.arrow"


def ledger_prefix(table: str, file_format: str) -> str:
    """Return the prefix of the keys of a table's ledger."""
    return f"_state/ledger/{segment(table)}/{file_format}/"


def ledger_key(table: str, file_format: str, token: str, number: int) -> str:
    """Return the key of one of its objects."""
    return f"{ledger_prefix(table, file_format)}{token}_{number:04d}.bin"


def ranges_prefix(table: str, file_format: str) -> str:
    """Return the prefix of the keys of the registers of a table's ranges, while several readers share a read."""
    return f"_state/ranges/{segment(table)}/{file_format}/"


def range_key(table: str, file_format: str, token: str, number: int) -> str:
    """Return the key of the register of one range of a division."""
    return f"{ranges_prefix(table, file_format)}{token}_{number:02d}.json"


def plan_key(run_id: str) -> str:
    """Return the key of a run's plan."""
    return f"_state/runs/{run_id}/plan.json"


def record_key(run_id: str, table: str) -> str:
    """Return the key of a run's record of a table."""
    return f"_state/runs/{run_id}/tables/{segment(table)}.json"


def reported_key(run_id: str) -> str:
    """Return the key of a run's register: what it has reported, and what others report in its place."""
    return f"_state/runs/{run_id}/reported.json"


def gate_key(run_id: str) -> str:
    """Return the key of what the gate last answered in a run."""
    return f"_state/runs/{run_id}/gate.json"


def manifest_key(run_id: str) -> str:
    """Return the key of a run's manifest."""
    return f"runs/{run_id}/manifest.json"


def report_key(run_id: str) -> str:
    """Return the key of a run's report."""
    return f"runs/{run_id}/report.html"
