"""Writes the results as tables, and as the page docs/benchmark.md."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks import extreme_row
from benchmarks.contenders.programs import REPOSITORY
from benchmarks.deployed import gentle, readers
from benchmarks.measuring import CHUNKS, LIMIT, OURS, SLOW, STAGE, WORKERS, Run, median, times_the_socket
from benchmarks.plot import draw

PAGE = REPOSITORY / "docs" / "benchmark.md"
RESULTS = REPOSITORY / "benchmarks" / "results.json"
MAIN = "orders"
_PLOT = "images/benchmark.svg"
_WHAT = {
    "orders": "14 typical columns, about 125 bytes of CSV a row",
    "quoted": "the same, with two values that need quotes in every row",
    "narrow": "two columns, 15 bytes a row",
    "wide": "three columns, 4.7 kB a row",
}
_STAGES = {
    LIMIT: "read the query's bytes and discard them",
    f"{STAGE}rows": "and split them into rows and columns",
    f"{STAGE}csv": "and convert them to CSV",
    f"{OURS} csv": "and write a file",
    f"{OURS} csv to S3": "instead, the whole extractor: window, digests of rows, SHA-256 and CRC-32, upload, commit",
    f"{STAGE}parquet": "convert rows to Parquet",
    f"{OURS} parquet to S3": "and the whole extractor",
}
_SECTIONS: dict[str, Callable[[Mapping[str, Any], str], str]] = {
    "row": extreme_row.section,
    "readers": readers.section,
    "gentle": gentle.section,
}
Runs = Mapping[str, Sequence[Run]]
_PAGE = """\
# Benchmark

`BENCH_PUBLISH=1 make bench` writes this page; [benchmarks/results.json](../benchmarks/results.json) has the runs.
`BENCH_PARTS`, `BENCH_ROWS`, `BENCH_ROUNDS`, `BENCH_CONTENDERS` and `BENCH_TABLES` select what runs. What a run does not
measure stays here as it was. All of it takes half an hour on two cores. The peers are pinned in
`requirements/bench.txt`, and take 1.6 GB in `.local/bench`; the tables take 3 GB.

**Machine**: {cores} cores, {system}, Python {python}. **Server**: {server}, on the same machine, its tables in
memory. Server, client and the local S3 share the cores, so wall times differ between runs by tens of percent. The
ratios, each to the socket alone *in the same round*, and the CPU seconds differ less. *Load* is the number of runnable
processes before a part and at its end.

**Method**: each contender runs in its own process, in turn, in rounds ({slow} only in the first: they
take ten times as long). rivet also runs in its chunked mode: {chunks} ranges of the key, read by {workers} workers.
Figures are medians, in the order of the ratios. Wall and CPU time of the Python contenders start at the query; those of
programs include their start. Peak memory is the process's, including imports. Connections are not encrypted,
because not every contender supports it. *socket* is the limit: it reads the bytes of the same query and discards them.

![seconds by contender]({plot})

{tables}
{missing}
{parts}
## The aims

| aim, on `orders` | reached |
| --- | --- |
{aims}

## Where the time goes

CPU seconds of the client per million rows of `orders`:

| stage | CPU s | more than the one before |
| --- | ---: | ---: |
{stages}

Uploads run in parallel with the read. The wall time to S3 is longer than to a file because the local S3 is a Python
process on the same cores: it needs more CPU time to receive the parts than the client needs to read and write them. Of
the whole extractor's CPU, the digest of each row and its place in the ledger take 0.8 seconds for a million rows
([what the proof costs](tune.md#what-the-proof-costs)). These figures are with one reader. With `"readers": "auto"`, a
table of 32 MiB or more takes 0.3 seconds more, whatever its size, to find where it could be divided. Every part is
hashed twice outside the reading thread, once for the manifest and once by boto for the signature, at 1.8 GB/s each.

## gzip

Without `isal`, compression is zlib's level 1. These are the figures for 245 MB of this CSV, on this machine:

| | CPU s | MB/s | size |
| --- | ---: | ---: | ---: |
| zlib 1 (the standard library) | 1.40 | 175 | 63 MB |
| zlib 6 | 4.88 | 50 | 56 MB |
| isal 1 | 0.41 | 591 | 59 MB |

## Cold start

The imports of each function in a new process. Lambda's own start is not included. The functions do not import pandas,
and import pyarrow only for Parquet.

| function | seconds | memory MB |
| --- | ---: | ---: |
{cold}
"""


def plot(table: str, runs: Runs) -> str:
    """Draw one table's seconds."""
    shown = {name: found for name, found in runs.items() if not name.startswith(STAGE)}
    rows = next(iter(shown.values()))[0].rows
    return draw(f"{rows:,} rows of {table}, seconds", {name: median(found, "seconds") for name, found in shown.items()})


def runs_of(document: Mapping[str, Any]) -> dict[str, Runs]:
    """Return a document's runs by table and contender."""
    return {
        table: {name: [Run(**run) for run in found] for name, found in by_name.items()}
        for table, by_name in document["tables"].items()
    }


def tables(document: Mapping[str, Any]) -> str:
    """Write a table of medians for each table that was read."""
    taken = document["taken"]
    return "\n".join(_table(table, found, taken[table]) for table, found in runs_of(document).items())


def sections(document: Mapping[str, Any]) -> str:
    """Write the other parts that were measured."""
    taken = document["taken"]
    measured = {part: write for part, write in _SECTIONS.items() if part in document}
    return "\n".join(write(document[part], when(taken[part])) for part, write in measured.items())


def summary(document: Mapping[str, Any]) -> str:
    """Write what one run has measured."""
    return f"{tables(document)}\n{sections(document)}"


def render(document: Mapping[str, Any]) -> str:
    """Write the page."""
    runs = runs_of(document)
    main = runs[MAIN]
    missing = [f"- {name}: {reason}" for name, reason in document["missing"].items()]
    machine = document["machine"]
    return _PAGE.format(
        cores=machine["cores"],
        system=machine["system"],
        python=machine["python"],
        server=document["server"],
        chunks=CHUNKS,
        workers=WORKERS,
        slow=", ".join(SLOW),
        plot=_PLOT,
        tables=tables(document),
        parts=sections(document),
        missing="\nCould not be run:\n\n" + "\n".join(missing) + "\n" if missing else "",
        aims="\n".join(_aims(main, runs)),
        stages="\n".join(_stages(main)),
        cold="\n".join(
            f"| {name} | {start['seconds']:.2f} | {start['peak_mb']:.0f} |"
            for name, start in document["cold_starts"].items()
        ),
    )


def merged(before: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the results before with those of a run in their place: of a part, or of a contender on a table."""
    measured = {name for found in document["tables"].values() for name in found}
    missing = {name: why for name, why in before["missing"].items() if name not in measured} | document["missing"]
    tables = {
        table: before["tables"].get(table, {}) | found if _same_rows(before, document, table) else found
        for table, found in document["tables"].items()
    }
    return {
        **before,
        **document,
        "taken": before["taken"] | document["taken"],
        "tables": before["tables"] | tables,
        "missing": missing,
    }


def _same_rows(before: Mapping[str, Any], document: Mapping[str, Any], table: str) -> bool:
    one, other = ((found["tables"].get(table) or {}).get(LIMIT) for found in (before, document))
    return bool(one and other and one[0]["rows"] == other[0]["rows"])


def publish(document: Mapping[str, Any]) -> None:
    """Write the results, the page and its plot to the files in the repository."""
    document = merged(json.loads(RESULTS.read_text()), document)
    PAGE.write_text(render(document))
    (PAGE.parent / _PLOT).write_text(plot(MAIN, runs_of(document)[MAIN]))
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")


def _table(table: str, runs: Runs, taken: Mapping[str, Any]) -> str:
    rows = runs[LIMIT][0].rows
    lines = [
        f"## `{table}`: {rows:,} rows",
        "",
        f"{_WHAT[table][0].upper()}{_WHAT[table][1:]}. {when(taken)}",
        "",
        "| contender | rows/s | wall s | best | times the socket | CPU s per million rows | peak MB |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    shown = ((name, found) for name, found in runs.items() if not name.startswith(STAGE))
    for name, found in sorted(shown, key=lambda item: times_the_socket(item[1])):
        seconds = median(found, "seconds")
        lines.append(
            f"| {f'**{name}**' if name.startswith(OURS) else name} | {rows / seconds:,.0f} | {seconds:.2f} "
            f"| {min(run.seconds for run in found):.2f} | {times_the_socket(found):.2f} | {_cpu(found):.2f} "
            f"| {median(found, 'peak_mb'):.0f} |"
        )
    return "\n".join([*lines, ""])


def when(taken: Mapping[str, Any]) -> str:
    """Write when and where a part was measured."""
    before, after = taken["load"]
    rounds = f"{taken['rounds']} round{'s' if taken['rounds'] > 1 else ''}"
    return f"Measured on {taken['date']}, {taken['cpu']}, in {rounds}; load {before} before and {after} at the end."


def _cpu(runs: Sequence[Run]) -> float:
    return median(runs, "cpu") / runs[0].rows * 1e6


def _aims(runs: Runs, tables_of_all: Mapping[str, Runs]) -> list[str]:
    def times(slower: str, ours: str, figure: str = "seconds") -> str:
        if slower not in runs or ours not in runs:
            return "not measured"
        return f"{median(runs[slower], figure) / median(runs[ours], figure):.2f}"

    csv, parquet = f"{OURS} csv", f"{OURS} parquet"
    peaks: dict[str, float] = {}
    for found in tables_of_all.values():
        for name in found:
            if name.startswith(OURS):
                shown = name.removeprefix(OURS).strip()
                peaks[shown] = max(peaks.get(shown, 0.0), *(run.peak_mb for run in found[name]))
    socket = ", ".join(
        f"{table} {times_the_socket(found[csv]):.2f}" for table, found in tables_of_all.items() if csv in found
    )
    memory = ", ".join(f"{name} {peak:.0f}" for name, peak in peaks.items())
    return [
        f"| CSV in at most 1.15 times the socket's own time | {socket} |",
        f"| CSV with at most 1.25 times mydumper's CPU seconds | {times(csv, 'mydumper', 'cpu')} |",
        f"| 2.5 times faster than rivet's CSV | {times('rivet csv', csv)} |",
        f"| faster than rivet's Parquet | {times('rivet parquet', parquet)} (Parquet), "
        f"{times('rivet parquet', csv)} (CSV) |",
        f"| 20 times faster than the original | {times('the original', csv)} |",
        f"| under 256 MB whatever the size | at most, of all tables, in MB: {memory}. Ten times the rows and a hundred "
        "files change nothing, nor does a value of 64 MB in CSV; in Parquet it takes up to 410 MB "
        "(tests/integration/test_memory.py) |",
    ]


def _stages(runs: Runs) -> list[str]:
    lines = []
    before = 0.0
    for name, what in _STAGES.items():
        if name in runs:
            cpu = _cpu(runs[name])
            if name == f"{STAGE}parquet":
                before = _cpu(runs[f"{STAGE}rows"]) if f"{STAGE}rows" in runs else before
            lines.append(f"| {what} | {cpu:.2f} | {cpu - before:+.2f} |")
            before = cpu
    return lines
