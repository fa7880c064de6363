"""Which server and database a connection leads to: another server may lag behind it."""

from __future__ import annotations

import contextlib

from rds_to_s3.errors import RdsToS3Error
from rds_to_s3.mysql.connection import Connection
from rds_to_s3.mysql.server.source import Source

# The instances of an Aurora cluster share their data, and may share the UUID: their names differ.
# Every user may read global_variables.
_MYSQL = """
SELECT DATABASE() AS name, @@server_uuid AS server,
  (SELECT VARIABLE_VALUE FROM performance_schema.global_variables WHERE VARIABLE_NAME = 'aurora_server_id') AS instance
"""
# MariaDB has no UUID, and the ids of two servers are often both 1.
_MARIADB = "SELECT DATABASE() AS name, CONCAT(@@server_id, '@', @@hostname, ':', @@port) AS server, NULL AS instance"

_MYSQL_ORIGINS = "SELECT SOURCE_UUID AS server FROM performance_schema.replication_connection_status"
_GROUP = (
    "SELECT VARIABLE_VALUE AS server FROM performance_schema.global_variables "
    "WHERE VARIABLE_NAME = 'group_replication_group_name'"
)
_AURORA_WRITER = "SELECT SERVER_ID AS server FROM information_schema.replica_host_status WHERE SESSION_ID = %s"


def read_source(connection: Connection) -> Source:
    """Read the server's identity, and its replication sources."""
    source = read_identity(connection)
    origins: set[str] = set()
    # Not every server has them, and not every user may read them.
    with contextlib.suppress(RdsToS3Error):
        if "/" in source.server:
            uuid = source.server.partition("/")[0]
            rows = connection.rows(_AURORA_WRITER, ("MASTER_SESSION_ID",))
            origins |= {f"{uuid}/{row['server']}" for row in rows}
    with contextlib.suppress(RdsToS3Error):
        if connection.is_mariadb:
            # As its replicas name it: enough to know that two of them follow the same source.
            rows = connection.rows("SHOW ALL SLAVES STATUS")
            origins |= {f"{row['master_server_id']}@{row['master_host']}:{row['master_port']}" for row in rows}
        else:
            origins |= {str(row["server"]) for row in connection.rows(_GROUP) if row["server"]}
            origins |= {str(row["server"]) for row in connection.rows(_MYSQL_ORIGINS) if row["server"]}
    return Source(source.server, source.database, tuple(sorted(origins - {source.server})))


def read_identity(connection: Connection) -> Source:
    """Read only the server's identity: one statement."""
    row = connection.row(_MARIADB if connection.is_mariadb else _MYSQL)
    server = f"{row['server']}/{row['instance']}" if row["instance"] else str(row["server"])
    return Source(server, str(row["name"]))
