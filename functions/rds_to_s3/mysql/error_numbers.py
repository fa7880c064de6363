"""What each error number of MySQL and MariaDB means: our error, the cause, and what helps. Data only.

The numbers and their names: https://dev.mysql.com/doc/mysql-errors/9.7/en/server-error-reference.html and
https://mariadb.com/docs/server/reference/error-codes. Both servers share those up to 1899, and a few from 3000 to 3060.
The table in docs/errors.md is written from here.

No text quotes the server, since its messages contain values of rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rds_to_s3.errors import (
    DatabaseAccessError,
    DatabaseBusyError,
    DatabaseLoginError,
    DatabaseRefusedError,
    DatabaseTlsError,
    Meaning,
    NotATableError,
    ReadInterruptedError,
    TableNotFoundError,
)


@dataclass(frozen=True)
class Refusal(Meaning):
    """What the error numbers of one kind mean.

    `rds_to_s3.mysql.refusals` fills in the remedy's fields: ``account``, ``user``, ``table``, ``column``, ``exclude``
    and ``grant``.

    Attributes
    ----------
    numbers : mapping of int to str
        The names in the servers' documentation, with the server where only one of the two has the number.
    is_computed : bool
        Whether the server fails to compute a virtual column.
    """

    numbers: Mapping[int, str]
    is_computed: bool = False


_SET_PASSWORD = "ALTER USER {account} IDENTIFIED BY 'NEW PASSWORD'"  # noqa: S105 - a placeholder
_INTO_CREDENTIALS = "Then put that password into the credentials."
# Without a plugin's name MySQL keeps the account's plugin.
_BY_PASSWORD = (
    "On MySQL ALTER USER {account} IDENTIFIED WITH caching_sha2_password BY 'NEW PASSWORD'; on MariaDB ALTER USER "
    "{account} IDENTIFIED VIA mysql_native_password USING PASSWORD('NEW PASSWORD'); " + _INTO_CREDENTIALS
)
_BROKE = "If this persists: does the server restart, or does something in between cut connections?"
_KILLED = "If this persists: who kills connections or statements there?"

LOGIN: tuple[Refusal, ...] = (
    Refusal(
        DatabaseBusyError,
        "all its connections are in use",
        "If this persists: SET GLOBAL max_connections = 500; (on RDS in the parameter group), or lower MaxConcurrency.",
        {1040: "ER_CON_COUNT_ERROR"},
    ),
    Refusal(
        DatabaseBusyError,
        "the user has as many connections as max_user_connections allows",
        "If this persists: SET GLOBAL max_user_connections = 100; (on RDS in the parameter group), or lower "
        "MaxConcurrency.",
        {1203: "ER_TOO_MANY_USER_CONNECTIONS"},
    ),
    Refusal(
        DatabaseBusyError,
        "the account has reached one of its limits of connections or statements",
        "A limit per hour ends with the hour. If this persists: ALTER USER {account} WITH MAX_USER_CONNECTIONS 0 "
        "MAX_CONNECTIONS_PER_HOUR 0 MAX_QUERIES_PER_HOUR 0;",
        {1226: "ER_USER_LIMIT_REACHED"},
    ),
    Refusal(
        DatabaseBusyError,
        "the server is starting, shutting down, or not yet part of its cluster",
        "If this persists, look into the server's log.",
        {
            1047: "ER_UNKNOWN_COM_ERROR",
            1053: "ER_SERVER_SHUTDOWN",
            1077: "ER_NORMAL_SHUTDOWN",
            1079: "ER_SHUTDOWN_COMPLETE",
            3168: "ER_SERVER_ISNT_AVAILABLE (MySQL)",
        },
    ),
    Refusal(
        DatabaseBusyError,
        "the server is in offline mode",
        "If this persists: SET GLOBAL offline_mode = OFF;",
        {3032: "ER_SERVER_OFFLINE_MODE"},
    ),
    Refusal(
        DatabaseBusyError,
        "the server cannot resolve the address of the function",
        "If this persists, start the server with skip_name_resolve = ON.",
        {1042: "ER_BAD_HOST_ERROR"},
    ),
    Refusal(
        DatabaseLoginError,
        "no account has this user name, this password and the function's host",
        "Correct user name and password in the credentials. SELECT user, host FROM mysql.user WHERE user = {user}; "
        "lists the accounts.",
        {1045: "ER_ACCESS_DENIED_ERROR", 1873: "ER_ACCESS_DENIED_CHANGE_USER_ERROR"},
    ),
    Refusal(
        DatabaseLoginError,
        "the account does not log in by password",
        _BY_PASSWORD,
        {1698: "ER_ACCESS_DENIED_NO_PASSWORD_ERROR"},
    ),
    Refusal(
        DatabaseLoginError,
        "the account's password has expired",
        f"{_SET_PASSWORD} PASSWORD EXPIRE NEVER; {_INTO_CREDENTIALS}",
        {1820: "ER_MUST_CHANGE_PASSWORD", 1862: "ER_MUST_CHANGE_PASSWORD_LOGIN"},
    ),
    Refusal(
        DatabaseLoginError,
        "the account is locked",
        "ALTER USER {account} ACCOUNT UNLOCK;",
        {3118: "ER_ACCOUNT_HAS_BEEN_LOCKED (MySQL)", 4151: "ER_ACCOUNT_HAS_BEEN_LOCKED (MariaDB)"},
    ),
    Refusal(
        DatabaseLoginError,
        "the account is blocked after logins with a wrong password",
        "Correct the password in the credentials. Then ALTER USER {account} ACCOUNT UNLOCK;",
        {3955: "ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED_BY_PASSWORD_LOCK (MySQL)"},
    ),
    Refusal(
        DatabaseLoginError,
        "the account is blocked after logins with a wrong password",
        "Correct the password in the credentials. Then FLUSH PRIVILEGES;",
        {4150: "ER_USER_IS_BLOCKED (MariaDB)"},
    ),
    Refusal(
        DatabaseRefusedError,
        "the server blocks the function's host after many connections that broke off",
        "On MySQL TRUNCATE TABLE performance_schema.host_cache; on MariaDB FLUSH HOSTS; then find out what connects "
        "without a login, such as a load balancer's check, or raise max_connect_errors.",
        {1129: "ER_HOST_IS_BLOCKED"},
    ),
    Refusal(
        DatabaseRefusedError,
        "no account allows the function's host",
        "SELECT user, host FROM mysql.user WHERE user = {user}; lists the hosts. RENAME USER changes one.",
        {1130: "ER_HOST_NOT_PRIVILEGED"},
    ),
    Refusal(
        DatabaseRefusedError,
        "the server does not understand the handshake",
        "Check that host and port lead to MySQL or MariaDB, and what a proxy in between passes on.",
        {1043: "ER_HANDSHAKE_ERROR"},
    ),
    Refusal(
        DatabaseRefusedError,
        "the server does not have the account's authentication plugin, or the function does not",
        _BY_PASSWORD,
        {
            1251: "ER_NOT_SUPPORTED_AUTH_MODE",
            1275: "ER_SERVER_IS_IN_SECURE_AUTH_MODE",
            1524: "ER_PLUGIN_IS_NOT_LOADED",
            2059: "CR_AUTH_PLUGIN_CANNOT_LOAD (PyMySQL)",
            2061: "CR_AUTH_PLUGIN_ERR (PyMySQL)",
            4055: "ER_PLUGIN_REQUIRES_REGISTRATION (MySQL)",
        },
    ),
    Refusal(
        DatabaseRefusedError,
        "the server's firewall refuses the statement",
        "Allow the statements of this account in the firewall.",
        {6444: "ER_ACCESS_DENIED_FIREWALL (MySQL)"},
    ),
    Refusal(
        DatabaseTlsError,
        "the server takes encrypted connections only",
        "Deploy with DatabaseTls=verify.",
        {3159: "ER_SECURE_TRANSPORT_REQUIRED (MySQL)"},
    ),
)
"""Errors of a login, or of the session after it."""

ACCESS: tuple[Refusal, ...] = (
    Refusal(
        DatabaseAccessError,
        "the database does not exist, or the user may not use it",
        "Check its name in the credentials (case counts). {grant}",
        {1044: "ER_DBACCESS_DENIED_ERROR", 1049: "ER_BAD_DB_ERROR", 3879: "ER_DB_ACCESS_DENIED (MySQL)"},
    ),
    Refusal(
        DatabaseAccessError,
        "the user lacks a privilege",
        "{grant}",
        {
            1142: "ER_TABLEACCESS_DENIED_ERROR",
            1227: "ER_SPECIFIC_ACCESS_DENIED_ERROR",
            1370: "ER_PROCACCESS_DENIED_ERROR",
        },
    ),
    Refusal(
        DatabaseAccessError,
        "the user may not read a column",
        'Leave it out with "exclude_columns" in the table list. Or {grant}',
        {1143: "ER_COLUMNACCESS_DENIED_ERROR"},
    ),
    Refusal(
        TableNotFoundError,
        "the table does not exist",
        "Check the name (case counts), or remove it from the table list.",
        {1051: "ER_BAD_TABLE_ERROR", 1109: "ER_UNKNOWN_TABLE", 1146: "ER_NO_SUCH_TABLE"},
    ),
    Refusal(
        NotATableError,
        "it is a view, and what it reads from is gone or may not be read",
        "List the tables that it reads from instead, or remove it from the table list.",
        {1356: "ER_VIEW_INVALID", 1449: "ER_NO_SUCH_USER"},
    ),
)
"""Errors of missing objects and privileges."""

INTERRUPTED: tuple[Refusal, ...] = (
    Refusal(
        ReadInterruptedError,
        "the connection broke",
        _BROKE,
        {
            1152: "ER_ABORTING_CONNECTION",
            1156: "ER_NET_PACKETS_OUT_OF_ORDER",
            1157: "ER_NET_UNCOMPRESS_ERROR",
            1158: "ER_NET_READ_ERROR",
            1159: "ER_NET_READ_INTERRUPTED",
            1160: "ER_NET_ERROR_ON_WRITE",
            1161: "ER_NET_WRITE_INTERRUPTED",
            1184: "ER_NEW_ABORTING_CONNECTION",
            2006: "CR_SERVER_GONE_ERROR (PyMySQL)",
            2013: "CR_SERVER_LOST (PyMySQL)",
            2055: "CR_SERVER_LOST_EXTENDED (PyMySQL)",
        },
    ),
    Refusal(
        ReadInterruptedError,
        "the server closed the connection after a pause",
        "If this persists, raise wait_timeout there.",
        {4031: "ER_CLIENT_INTERACTION_TIMEOUT (MySQL)"},
    ),
    Refusal(
        ReadInterruptedError,
        "somebody killed the statement or the connection",
        _KILLED,
        {
            1080: "ER_FORCING_CLOSE",
            1317: "ER_QUERY_INTERRUPTED",
            1927: "ER_CONNECTION_KILLED (MariaDB)",
            3169: "ER_SESSION_WAS_KILLED (MySQL)",
        },
    ),
    Refusal(
        ReadInterruptedError,
        "the statement took longer than it may",
        "If this persists, give each cursor column an index, or raise ExtractTimeout.",
        {1969: "ER_STATEMENT_TIMEOUT (MariaDB)", 3024: "ER_QUERY_TIMEOUT (MySQL)"},
    ),
    Refusal(
        ReadInterruptedError,
        "another transaction held a lock",
        "If this persists: SHOW FULL PROCESSLIST; lists what runs there.",
        {1205: "ER_LOCK_WAIT_TIMEOUT", 1213: "ER_LOCK_DEADLOCK"},
    ),
    Refusal(
        ReadInterruptedError,
        "the table was altered meanwhile",
        "The next attempt reads it as altered.",
        {1054: "ER_BAD_FIELD_ERROR", 1412: "ER_TABLE_DEF_CHANGED", 1615: "ER_NEED_REPREPARE"},
    ),
    Refusal(
        ReadInterruptedError,
        "the server that holds the table's rows does not answer",
        "If this persists: SHOW CREATE TABLE {table}; shows its address.",
        {
            1297: "ER_GET_TEMPORARY_ERRMSG",
            1429: "ER_CONNECT_TO_FOREIGN_DATA_SOURCE",
            1430: "ER_QUERY_ON_FOREIGN_DATA_SOURCE",
        },
    ),
    Refusal(
        ReadInterruptedError,
        "the members of the server's group do not agree yet",
        "If this persists: SELECT * FROM performance_schema.replication_group_members; shows their state.",
        {
            3781: "ER_GR_HOLD_WAIT_TIMEOUT (MySQL)",
            3782: "ER_GR_HOLD_KILLED (MySQL)",
            3797: "ER_GRP_TRX_CONSISTENCY_BEFORE (MySQL)",
            3798: "ER_GRP_TRX_CONSISTENCY_AFTER_ON_TRX_BEGIN (MySQL)",
            4094: "ER_OPERATION_NOT_ALLOWED_WHILE_PRIMARY_CHANGE_IS_RUNNING (MySQL)",
        },
    ),
    Refusal(
        DatabaseBusyError,
        "the server has no memory, file or thread left",
        "If this persists, take a larger instance, or lower MaxConcurrency.",
        {
            5: "EE_OUTOFMEMORY",
            23: "EE_OUT_OF_FILERESOURCES",
            1037: "ER_OUTOFMEMORY",
            1041: "ER_OUT_OF_RESOURCES",
            1135: "ER_CANT_CREATE_THREAD",
            3015: "ER_ENGINE_OUT_OF_MEMORY",
        },
    ),
    Refusal(
        DatabaseBusyError,
        "the server's disk, or its room for temporary tables, is full",
        "Free disk space there; on RDS, raise the allocated storage.",
        {
            3: "EE_WRITE",
            20: "EE_DISK_FULL",
            1021: "ER_DISK_FULL",
            1026: "ER_ERROR_ON_WRITE",
            1114: "ER_RECORD_FILE_FULL",
        },
    ),
)
"""Transient errors, after a login."""
