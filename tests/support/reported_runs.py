"""Runs whose reports are hard to show."""

from __future__ import annotations

import copy
from typing import Any

from tests.support.sample_report import sample_manifest

HOSTILE = "</style><script src='x.js'>console.log('ran')</script><img src=x onerror=console.log(1)>\"'&\x00\ud800"


def hostile() -> dict[str, Any]:
    run = copy.deepcopy(sample_manifest())
    run["tables"][0]["table"] = run["tables"][-1]["error"]["message"] = run["warnings"][0] = HOSTILE
    run["tables"][1]["files"][0]["key"] = "a/<img src=x>\"'&.csv"
    return run


def unplanned() -> dict[str, Any]:
    error = {"type": "TableListError", "message": "not JSON"}
    totals = dict.fromkeys(("tables", "succeeded", "failed", "rows", "files", "bytes"), 0)
    return sample_manifest() | {"tables": [], "totals": totals, "window_end": None, "bound": None, "error": error}


def of_many_tables() -> dict[str, Any]:
    """A run of many tables with long names, of one word or of several, with long and unknown times."""
    run = sample_manifest()
    run["tables"] = [
        {key: value for key, value in table.items() if key != "finished_at"} | {"table": name, "seconds": 4_980.0}
        for number in range(6)
        for table in run["tables"]
        for name in (
            f"a_table_with_a_long_name_{number}_{table['table']}",
            f"ATableOfLongName{number}X{table['table']}" * 2,
        )
    ]
    return run


RUNS = {"sample": sample_manifest(), "unplanned": unplanned(), "many": of_many_tables(), "hostile": hostile()}
