"""Worlds in which rows were lost: what the table is like, who writes it, which servers there are, what befalls them.

A world is the scene of a chaos session: `befall` comes before each run, and `settle` before the last, quiet one.
"""

from __future__ import annotations

import ast
import random
import re
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar
from unittest.mock import patch

import pymysql

from rds_to_s3.extract import page_reader, reached
from rds_to_s3.extract.proof import blocks, pieces
from rds_to_s3.extract.scope import settled
from tests.integration.conftest import Database, fresh_database
from tests.integration.pipeline import Pipeline
from tests.integration.world import HOT, TABLE, World
from tests.integration.worlds_of_settings import Elsewhere, Filtered, Masked, Shared
from tests.support.replicas import Replicated, go_on_applying, stop_applying

if TYPE_CHECKING:
    from tests.support.servers import StartServer


class Sentinel(World):
    """A modified column that is never NULL: rows that were never modified have a date long past."""

    name = "a date that means never"
    created = "DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP"

    def __init__(self, pipeline: Pipeline, random_: random.Random, start_server: StartServer) -> None:
        super().__init__(pipeline, random_, start_server)
        kind, never = random_.choice(
            [
                ("DATETIME(3)", "0000-00-00 00:00:00"),
                ("TIMESTAMP(3)", "0000-00-00 00:00:00"),
                ("DATETIME(3)", "1000-01-01 00:00:00"),
                ("TIMESTAMP(3)", "1970-01-02 00:00:01"),
            ]
        )
        self.modified = f"{kind} NOT NULL DEFAULT '{never}'"
        self.session_sql = ["SET SESSION sql_mode = ''"]


class Zoned(World):
    """An application whose sessions have their own time zone."""

    name = "stamps of another zone"

    def __init__(self, pipeline: Pipeline, random_: random.Random, start_server: StartServer) -> None:
        super().__init__(pipeline, random_, start_server)
        zone = random_.choice(["-05:00", "+05:30"])
        self.settings["time_zone"] = zone
        self.session_sql = [f"SET SESSION time_zone = '{zone}'"]


class TextKey(World):
    """A key of cp932, whose text does not come back to the same bytes; it is read in many pages."""

    name = "a key of cp932"
    key = "k VARCHAR(40) CHARACTER SET cp932 PRIMARY KEY, id INT NOT NULL UNIQUE AUTO_INCREMENT"

    def _making(self) -> list[str]:
        key = "CONCAT(CONVERT(UNHEX(HEX(60736 + ABS(NEW.version) % 63)) USING cp932), CONVERT(NEW.version USING cp932))"
        return [
            *super()._making(),
            f"CREATE TRIGGER keyed BEFORE INSERT ON {TABLE} FOR EACH ROW SET NEW.k = {key}",
        ]

    @contextmanager
    def inhabited(self) -> Iterator[None]:
        """Read a few rows a page."""
        with patch.object(page_reader, "MOST_ROWS", 40), super().inhabited():
            keys = self.database.rows(f"SELECT HEX(k) FROM {TABLE} WHERE id = {HOT}")
            assert keys[0][0].startswith("ED"), keys
            yield


class Hostile(World):
    """A server that hands variables down which change what a SELECT yields."""

    name = "hostile session variables"
    GLOBALS: ClassVar[dict[str, str]] = {
        "sql_select_limit": "100",
        "max_join_size": "1",
        "max_sort_length": "4",
        "completion_type": "2",
        "default_week_format": "3",
        "sql_mode": "'PAD_CHAR_TO_FULL_LENGTH,ANSI_QUOTES'",
    }
    INIT = "SET sql_select_limit = 7, time_zone = '-05:00', lc_time_names = 'de_DE', sql_buffer_result = 1"

    def __init__(self, pipeline: Pipeline, random_: random.Random, start_server: StartServer) -> None:
        super().__init__(pipeline, random_, start_server)
        self.session_sql = ["SET SESSION completion_type = 0, sql_big_selects = 1, sql_mode = ''"]

    @contextmanager
    def inhabited(self) -> Iterator[None]:
        """Hand down: to all by global variables, to the extractor's user by what is run at connect."""
        server = self.database.server
        user = f"reader_{secrets.token_hex(4)}"
        with super().inhabited():
            server.execute(
                f"CREATE USER '{user}'@'%' IDENTIFIED BY 'a-Pa55word'",
                f"GRANT SELECT ON `{self.database.name}`.* TO '{user}'@'%'",
                f"GRANT PROCESS ON *.* TO '{user}'@'%'",
            )
            self.pipeline.user = (user, "a-Pa55word")
            owner = self.database
            owner.execute(
                *(f"SET GLOBAL {name} = {value}" for name, value in self.GLOBALS.items()),
                f'SET GLOBAL init_connect = "{self.INIT}"',
            )
            try:
                yield
            finally:
                owner.execute(
                    "SET GLOBAL init_connect = ''",
                    *(f"SET GLOBAL {name} = DEFAULT" for name in [*self.GLOBALS, "sql_big_selects"]),
                    f"DROP USER '{user}'@'%'",
                )


class Hidden(World):
    """A user with grants on columns, who loses the one on a cursor column for a while."""

    name = "a cursor column that is hidden"

    def __init__(self, pipeline: Pipeline, random_: random.Random, start_server: StartServer) -> None:
        super().__init__(pipeline, random_, start_server)
        self.hidden = False
        self._grantee = ""

    @contextmanager
    def inhabited(self) -> Iterator[None]:
        """Grant columns."""
        server, name = self.database.server, self.database.name
        user = f"narrow_{secrets.token_hex(4)}"
        self._grantee = f"'{user}'@'%'"
        with super().inhabited():
            server.execute(
                f"CREATE USER {self._grantee} IDENTIFIED BY 'a-Pa55word'",
                f"GRANT PROCESS ON *.* TO {self._grantee}",
                f"GRANT SELECT (id, note, version, createdDate) ON `{name}`.{TABLE} TO {self._grantee}",
            )
            self.show()
            self.pipeline.user = (user, "a-Pa55word")
            try:
                yield
            finally:
                server.execute(f"DROP USER {self._grantee}")

    def show(self) -> None:
        """Grant the cursor column."""
        self.database.server.execute(
            f"GRANT SELECT (modifiedDate) ON `{self.database.name}`.{TABLE} TO {self._grantee}"
        )
        self.hidden = False

    def befall(self, runs: int) -> None:
        """Take the grant away, and give it back. Before a first commit, nobody knows that there was such a column."""
        if self.hidden:
            self.show()
        elif runs and self.pipeline.watermark(TABLE) and self.random.random() < 0.4:
            self.database.server.execute(
                f"REVOKE SELECT (modifiedDate) ON `{self.database.name}`.{TABLE} FROM {self._grantee}"
            )
            self.hidden = True

    def settle(self) -> None:
        """Give it back for good."""
        if self.hidden:
            self.show()

    def may_fail_with(self, error: str) -> bool:
        """Fail loudly while it is hidden."""
        return self.hidden and error in {"NoCursorColumnError", "DatabaseAccessError"}


class Changed(World):
    """A table whose settings change: it is extracted in full at first, and in files of another size now and then."""

    name = "settings that change"

    def __init__(self, pipeline: Pipeline, random_: random.Random, start_server: StartServer) -> None:
        super().__init__(pipeline, random_, start_server)
        self.settings["mode"] = "full"

    def befall(self, runs: int) -> None:
        """Change them."""
        if runs:
            self.settings["mode"] = "incremental"
        self.settings["target_file_bytes"] = self.random.choice([10_000, 20_000, 1_000_000])
        self._list()


REPEATED = re.compile(r"rows stamped after (.+?), where .+ those up to (.+?) may be extracted again")


class Moved(World):
    """A secret that leads to another server from now on; a function that is warm reads the former one for a while.

    Sometimes more rows share the last moments than digests are kept of.
    """

    name = "a secret that moves"
    WARM_RUNS = 2
    count_of_phases = 2

    def __init__(self, pipeline: Pipeline, random_: random.Random, start_server: StartServer) -> None:
        super().__init__(pipeline, random_, start_server)
        self._place = pipeline.database
        self._since: int | None = None

    @contextmanager
    def inhabited(self) -> Iterator[None]:
        """Have a second database: to a table's state, it is another source."""
        most = self.random.choice([5, settled.MOST_EDGE_ROWS])
        with (
            patch.object(settled, "MOST_EDGE_ROWS", most),
            super().inhabited(),
            fresh_database(self._place.server) as self._other,
        ):
            yield

    @property
    def database(self) -> Database:
        """The former server at first, then the other."""
        return self._place

    def phases(self) -> Iterator[None]:
        """Switch over when the application is stopped, as a promotion does."""
        yield
        former = self._place
        self._other.execute(
            f"CREATE TABLE {TABLE} LIKE `{former.name}`.{TABLE}",
            f"INSERT INTO {TABLE} SELECT * FROM `{former.name}`.{TABLE}",
        )
        self._place = self._other
        self._since = 0
        self.hot_row_in_each_run = False
        yield

    def befall(self, runs: int) -> None:
        """Notice after a few runs."""
        if self._since is not None:
            self._since += 1
            if self._since > self.WARM_RUNS:
                self.settle()

    def settle(self) -> None:
        """Notice."""
        if self._since is not None:
            self.pipeline.database = self._place
            self.hot_row_in_each_run = True

    def may_fail_with(self, error: str) -> bool:
        """Refuse, loudly, to read a run on the other server that was planned just before anybody noticed."""
        return error == "SourceChangedError" and self._since == self.WARM_RUNS + 1

    def excuses(self, problem: str, warnings: list[str]) -> bool:
        """Repeat rows where more share the last moments than digests are kept of, and only those."""
        kind, _, row = problem.partition(": ")
        if kind != "delivered more than once":
            return False
        stamp = max(datetime.fromisoformat(text) for text in ast.literal_eval(row)[-2:] if text)
        moments = [map(datetime.fromisoformat, each) for warning in warnings for each in REPEATED.findall(warning)]
        return any(begin < stamp <= end for begin, end in moments)


class LateReplicas(World):
    """One endpoint, two replicas that fall behind and catch up, each when it likes."""

    name = "late replicas behind one endpoint"
    flavours = ("mysql",)
    longest_transaction = 2.5
    pace = 0.25
    hot_row_in_each_run = False
    MARGIN = 4.0

    @contextmanager
    def inhabited(self) -> Iterator[None]:
        """Start the servers, and let the endpoint lead to any of them."""
        with ExitStack() as stack:
            self._world = Replicated.start(self.start_server, replicas=2)
            self.pipeline.database = self._world.database()
            self.pipeline.unobserved_settle_seconds = self.MARGIN
            self.pipeline.endpoint = self._connect
            stack.enter_context(patch.object(reached, "WAIT_SECONDS", 1.0))
            stack.enter_context(patch.object(reached, "PAUSE_SECONDS", 0.1))
            with super().inhabited():
                self._world.wait()
                yield

    def _connect(self, seconds: int) -> Any:
        self._world.lead_to(random.choice(self._world.replicas))
        return self._world.connect(seconds)

    def befall(self, runs: int) -> None:
        """Let each replica stop applying, or go on."""
        for replica in self._world.replicas:
            self.random.choice([stop_applying, go_on_applying, go_on_applying])(replica)

    def settle(self) -> None:
        """Let them catch up, and the origin write on until the last rows are settled."""
        for replica in self._world.replicas:
            go_on_applying(replica)
        self._world.let_pass(self.MARGIN + 1)

    def may_fail_with(self, error: str) -> bool:
        """Fail where the server that is met has less than another showed."""
        return error in {"ReplicaBehindError", "ReplicaStoppedError"}


class Unstamped(World):
    """Somebody who repairs rows by hand, restores old ones and adds columns: no stamp shows it, the proof does."""

    name = "changes without a stamp"

    def befall(self, runs: int) -> None:
        """Change rows, bring an old one in, delete some; sometimes in a table of many blocks."""
        first = self.random.randint(2, 350)
        connection = self.session(self.database)
        with suppress(pymysql.err.MySQLError), connection.cursor() as cursor:
            version = 10**12 + runs
            cursor.execute(f"UPDATE {TABLE} SET version = {version} WHERE id BETWEEN {first} AND {first + 9}")
            cursor.execute(
                f"INSERT INTO {TABLE} (note, version, createdDate) VALUES ('restored', {version}, '2001-01-01'), "
                f"('unstamped', {version}, NULL)"
            )
            cursor.execute(f"DELETE FROM {TABLE} WHERE id = {first + 20}")
            connection.commit()
        connection.close()

    @contextmanager
    def inhabited(self) -> Iterator[None]:
        """Have many blocks."""
        with (
            patch.object(pieces, "MOST_ROWS", 100),
            patch.object(blocks, "MOST_ROWS", 100),
            super().inhabited(),
        ):
            yield


WORLDS: tuple[type[World], ...] = (
    World,
    Sentinel,
    Zoned,
    TextKey,
    Hostile,
    Hidden,
    Changed,
    Moved,
    LateReplicas,
    Unstamped,
    Filtered,
    Masked,
    Shared,
    Elsewhere,
)
