"""The error numbers of rows and tables that a server cannot read. Data only, like `rds_to_s3.mysql.error_numbers`."""

from __future__ import annotations

from collections.abc import Mapping

from rds_to_s3.errors import RowsUnreadableError
from rds_to_s3.mysql.error_numbers import ACCESS, INTERRUPTED, LOGIN, Refusal

_COMPUTED = (
    'Leave it out with "exclude_columns": [{exclude}] in the table list, or correct the rows, or the "where" that '
    "computes with it. SHOW CREATE TABLE {table}; shows its expression."
)

ROWS: tuple[Refusal, ...] = (
    Refusal(
        RowsUnreadableError,
        "{column} cannot be computed for one of the rows: a number is out of range",
        _COMPUTED,
        {
            1264: "ER_WARN_DATA_OUT_OF_RANGE",
            1365: "ER_DIVISION_BY_ZERO",
            1441: "ER_DATETIME_FUNCTION_OVERFLOW",
            1690: "ER_DATA_OUT_OF_RANGE",
            1916: "ER_DATA_OVERFLOW (MariaDB)",
        },
        is_computed=True,
    ),
    Refusal(
        RowsUnreadableError,
        "{column} cannot be computed for one of the rows: a value does not suit its type or a function",
        _COMPUTED,
        {
            1292: "ER_TRUNCATED_WRONG_VALUE",
            1300: "ER_INVALID_CHARACTER_STRING",
            1366: "ER_TRUNCATED_WRONG_VALUE_FOR_FIELD",
            1406: "ER_DATA_TOO_LONG",
            1411: "ER_WRONG_VALUE_FOR_TYPE",
            1416: "ER_CANT_CREATE_GEOMETRY_OBJECT",
            1525: "ER_WRONG_VALUE",
            1918: "ER_BAD_DATA (MariaDB)",
            1977: "ER_CANNOT_CONVERT_CHARACTER (MariaDB)",
            3037: "ER_GIS_INVALID_DATA",
            3854: "ER_CANNOT_CONVERT_STRING (MySQL)",
            4027: "ER_ERROR_EVALUATING_EXPRESSION (MariaDB)",
        },
        is_computed=True,
    ),
    Refusal(
        RowsUnreadableError,
        "{column} cannot be computed for one of the rows: its JSON is not valid, or does not suit a function",
        _COMPUTED,
        {
            3069: "ER_INVALID_JSON_DATA (MySQL)",
            3140: "ER_INVALID_JSON_TEXT (MySQL)",
            3141: "ER_INVALID_JSON_TEXT_IN_PARAM (MySQL)",
            3142: "ER_INVALID_JSON_BINARY_DATA (MySQL)",
            3143: "ER_INVALID_JSON_PATH (MySQL)",
            3144: "ER_INVALID_JSON_CHARSET (MySQL)",
            3146: "ER_INVALID_TYPE_FOR_JSON (MySQL)",
            3147: "ER_INVALID_CAST_TO_JSON (MySQL)",
            3150: "ER_JSON_VALUE_TOO_BIG (MySQL)",
            3155: "ER_NUMERIC_JSON_VALUE_OUT_OF_RANGE (MySQL)",
            3156: "ER_INVALID_JSON_VALUE_FOR_CAST (MySQL)",
            3157: "ER_JSON_DOCUMENT_TOO_DEEP (MySQL)",
            3158: "ER_JSON_DOCUMENT_NULL_KEY (MySQL)",
            3966: "ER_MISSING_JSON_VALUE (MySQL)",
            3967: "ER_MULTIPLE_JSON_VALUES (MySQL)",
            4035: "ER_JSON_BAD_CHR (MariaDB)",
            4036: "ER_JSON_NOT_JSON_CHR (MariaDB)",
            4037: "ER_JSON_EOS (MariaDB)",
            4038: "ER_JSON_SYNTAX (MariaDB)",
        },
        is_computed=True,
    ),
    Refusal(
        RowsUnreadableError,
        "{column} cannot be computed for one of the rows: its regular expression is not valid",
        _COMPUTED,
        {
            1139: "ER_REGEXP_ERROR",
            3685: "ER_REGEXP_ILLEGAL_ARGUMENT (MySQL)",
            3686: "ER_REGEXP_INDEX_OUTOFBOUNDS_ERROR (MySQL)",
            3688: "ER_REGEXP_RULE_SYNTAX (MySQL)",
            3690: "ER_REGEXP_UNIMPLEMENTED (MySQL)",
            3691: "ER_REGEXP_MISMATCHED_PAREN (MySQL)",
            3692: "ER_REGEXP_BAD_INTERVAL (MySQL)",
            3696: "ER_REGEXP_MISSING_CLOSE_BRACKET (MySQL)",
            3697: "ER_REGEXP_INVALID_RANGE (MySQL)",
            3699: "ER_REGEXP_TIME_OUT (MySQL)",
            3887: "ER_REGEXP_INVALID_CAPTURE_GROUP_NAME (MySQL)",
            3900: "ER_REGEXP_INVALID_FLAG (MySQL)",
        },
        is_computed=True,
    ),
    Refusal(
        RowsUnreadableError,
        "{column} calls a function that does not exist",
        _COMPUTED,
        {1305: "ER_SP_DOES_NOT_EXIST"},
        is_computed=True,
    ),
    Refusal(
        RowsUnreadableError,
        "a row is larger than max_allowed_packet",
        "SET GLOBAL max_allowed_packet = 1073741824; (on RDS in the parameter group), or leave the wide column out "
        'with "exclude_columns" in the table list.',
        {1153: "ER_NET_PACKET_TOO_LARGE"},
    ),
    Refusal(
        RowsUnreadableError,
        "the server's buffer does not hold the rows that it has to sort",
        "Give the table a primary key and each cursor column an index: then nothing is sorted.",
        {1038: "ER_OUT_OF_SORTMEMORY"},
    ),
    Refusal(
        RowsUnreadableError,
        "the table, or an index of it, is damaged",
        "CHECK TABLE {table}; says what is damaged. REPAIR TABLE {table}; repairs MyISAM and Aria. Restore an InnoDB "
        "table from a backup, or read from a replica.",
        {
            2: "EE_READ",
            9: "EE_EOFERR",
            126: "HA_ERR_CRASHED",
            127: "HA_ERR_WRONG_IN_RECORD",
            134: "HA_ERR_RECORD_DELETED",
            144: "HA_ERR_CRASHED_ON_REPAIR",
            145: "HA_ERR_CRASHED_ON_USAGE",
            175: "HA_ERR_FILE_TOO_SHORT",
            176: "HA_ERR_WRONG_CRC",
            180: "HA_ERR_INDEX_CORRUPT",
            1024: "ER_ERROR_ON_READ",
            1030: "ER_GET_ERRNO",
            1032: "ER_KEY_NOT_FOUND",
            1033: "ER_NOT_FORM_FILE",
            1034: "ER_NOT_KEYFILE",
            1035: "ER_OLD_KEYFILE",
            1194: "ER_CRASHED_ON_USAGE",
            1195: "ER_CRASHED_ON_REPAIR",
            1296: "ER_GET_ERRMSG",
            1712: "ER_INDEX_CORRUPT",
            1728: "ER_CANNOT_LOAD_FROM_TABLE_V2",
            1817: "ER_INNODB_INDEX_CORRUPT",
            1877: "ER_TABLE_CORRUPT",
            3000: "ER_FILE_CORRUPT",
        },
    ),
    Refusal(
        RowsUnreadableError,
        "a file of the table is missing, or its tablespace is discarded",
        "ALTER TABLE {table} IMPORT TABLESPACE; imports a file that was copied back. Or restore the table from a "
        "backup, or take it off the list.",
        {
            13: "EE_STAT",
            29: "EE_FILENOTFOUND",
            1016: "ER_CANT_OPEN_FILE",
            1017: "ER_FILE_NOT_FOUND",
            1812: "ER_TABLESPACE_MISSING",
            1814: "ER_TABLESPACE_DISCARDED",
            1932: "ER_NO_SUCH_TABLE_IN_ENGINE (MariaDB)",
        },
    ),
    Refusal(
        RowsUnreadableError,
        "the table was created by another release of the server",
        "ALTER TABLE {table} FORCE; rebuilds it.",
        {1707: "ER_TABLE_NEEDS_REBUILD", 1808: "ER_TABLE_SCHEMA_MISMATCH"},
    ),
    Refusal(
        RowsUnreadableError,
        "the table's storage engine is not available",
        "SHOW ENGINES; lists the available ones. Load the engine, or take the table off the list.",
        {1286: "ER_UNKNOWN_STORAGE_ENGINE", 3003: "ER_STORAGE_ENGINE_NOT_LOADED"},
    ),
    Refusal(
        RowsUnreadableError,
        "the table is encrypted, and the server does not have the key",
        "Load the keyring that the table was encrypted with.",
        {3185: "ER_CANNOT_FIND_KEY_IN_KEYRING (MySQL)"},
    ),
    Refusal(
        RowsUnreadableError,
        "the table points at a table of another server that is not there",
        "SHOW CREATE TABLE {table}; shows its address.",
        {1431: "ER_FOREIGN_DATA_SOURCE_DOESNT_EXIST", 1432: "ER_FOREIGN_DATA_STRING_INVALID_CANT_CREATE"},
    ),
)
"""Permanent errors of a read."""

REFUSALS: tuple[Refusal, ...] = (*LOGIN, *ACCESS, *INTERRUPTED, *ROWS)
BY_NUMBER: Mapping[int, Refusal] = {number: refusal for refusal in REFUSALS for number in refusal.numbers}

# The transient numbers in "Got error 28 from storage engine" (1030), which both servers share.
ENGINE_PASSES: Mapping[int, int] = {12: 1037, 28: 1021, 128: 1037, 135: 1114, 136: 1114, 146: 1205, 149: 1213}
"""Engine's number -> the server's number that means the same."""

# https://dev.mysql.com/doc/refman/8.4/en/error-message-elements.html: the classes, for numbers of later releases.
BY_SQLSTATE_CLASS: Mapping[str, Refusal] = {
    "08": BY_NUMBER[1158],
    "22": BY_NUMBER[1292],
    "28": BY_NUMBER[1045],
}
