"""The chaos test for as long as you like: ``make soak SOAK_MINUTES=30``, or ``python -m tests.integration.soak``."""

from __future__ import annotations

import argparse
import os
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from local.ministack_server import MiniStack
from local.mysql_server import MySqlServer
from tests.integration.chaos import Chaos, Report
from tests.integration.conftest import fresh_database
from tests.integration.pipeline import Pipeline
from tests.integration.world import World
from tests.integration.worlds import WORLDS
from tests.support.servers import StartServer, starting_servers

SESSION_SECONDS = 60.0


def main() -> int:
    """Run sessions of a minute, one world after the other, each with its own seed, until the time is up."""
    parser = argparse.ArgumentParser(prog="python -m tests.integration.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--flavour", choices=["mysql", "mariadb"], default="mysql")
    parser.add_argument("--world", help="play this world alone, of: " + ", ".join(world.name for world in WORLDS))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("CHAOS_SEED") or secrets.randbelow(10**6)))
    arguments = parser.parse_args()
    worlds = [
        world for world in WORLDS if arguments.flavour in world.flavours and arguments.world in {None, world.name}
    ]
    if not worlds:
        parser.error(f"no world {arguments.world!r} on {arguments.flavour}")
    console = Console()
    reports: list[Report] = []
    with tempfile.TemporaryDirectory() as folder:
        server = MySqlServer.start(Path(folder) / "database", arguments.flavour)
        aws = MiniStack.start(Path(folder) / "aws")
        try:
            _play(server, aws, worlds, arguments.seed, arguments.minutes * 60, reports, console)
        finally:
            aws.stop()
            server.stop()
    total = sum_of(reports)
    console.print(f"{len(reports)} sessions on {arguments.flavour}: {total}", soft_wrap=True)
    return 1 if total.problems else 0


def _play(
    server: MySqlServer,
    aws: MiniStack,
    worlds: list[type[World]],
    seed: int,
    seconds: float,
    reports: list[Report],
    console: Console,
) -> None:
    began = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("chaos", total=seconds)

        def show(report: Report) -> None:
            done = sum_of([*reports, report])
            progress.update(
                task,
                completed=min(time.monotonic() - began, seconds),
                description=f"{done.runs} runs, {done.kills} kills, {done.rows} rows compared, "
                f"{len(done.problems)} problems",
            )

        while (left := began + seconds - time.monotonic()) > 0:
            bucket = f"soak-{secrets.token_hex(6)}"
            client = aws.client("s3")
            client.create_bucket(Bucket=bucket)
            world, number = worlds[len(reports) % len(worlds)], seed + len(reports)
            with fresh_database(server) as database, _servers() as start_server:
                pipeline = Pipeline(database, bucket, client)
                chaos = Chaos(world(pipeline, random.Random(number), start_server), number, show)
                reports.append(chaos.run(min(left, SESSION_SECONDS), ddl=server.flavour == "mysql"))
            show(Report(seed))
            progress.console.print(str(reports[-1]), soft_wrap=True)
            for problem in reports[-1].problems[:20]:
                progress.console.print(f"  {problem}", style="red")


@contextmanager
def _servers() -> Iterator[StartServer]:
    with (
        tempfile.TemporaryDirectory() as folder,
        starting_servers(lambda name: Path(tempfile.mkdtemp(prefix=name, dir=folder))) as start,
    ):
        yield start


def sum_of(reports: list[Report]) -> Report:
    """Add sessions up."""
    total = Report(reports[0].seed, "in all")
    for report in reports:
        for name in vars(total).keys() - {"seed", "world"}:
            setattr(total, name, getattr(total, name) + getattr(report, name))
    return total


if __name__ == "__main__":
    sys.exit(main())
