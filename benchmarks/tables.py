"""The benchmark's tables. The server creates them once."""

from __future__ import annotations

from typing import Any

# 14 typical columns; every twentieth row has a comma in its text.
_ORDERS = """
CREATE TABLE orders (
  orders_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  customer_id BIGINT UNSIGNED NOT NULL,
  restaurant_id INT UNSIGNED NOT NULL,
  order_number CHAR(12) NOT NULL,
  status ENUM('PLACED','PREPARING','ON_THE_WAY','DELIVERED','CANCELLED') NOT NULL,
  subtotal DECIMAL(10,2) NOT NULL,
  delivery_fee DECIMAL(6,2) NOT NULL,
  discount DECIMAL(8,2) NULL,
  total DECIMAL(10,2) NOT NULL,
  payment_method VARCHAR(20) NOT NULL,
  coupon_code VARCHAR(20) NULL,
  instructions VARCHAR(200) NULL,
  createdDate DATETIME NOT NULL,
  modifiedDate DATETIME NULL
)
SELECT n AS orders_id, 1 + n * 7919 % 500000 AS customer_id, 1 + n * 31 % 20000 AS restaurant_id,
  CONCAT('ORD', LPAD(n, 9, '0')) AS order_number, 1 + n % 5 AS status, 100 + n % 90000 / 100 AS subtotal,
  n % 60 AS delivery_fee, IF(n % 3 = 0, n % 1000 / 100, NULL) AS discount, 150 + n % 95000 / 100 AS total,
  ELT(1 + n % 4, 'CARD', 'UPI', 'CASH', 'WALLET') AS payment_method,
  IF(n % 10 = 0, CONCAT('SAVE', n % 50), NULL) AS coupon_code,
  IF(n % 2 = 0, CONCAT('leave at the door of flat ', n % 900, IF(n % 20 = 0, ', please', '')), NULL) AS instructions,
  '2024-01-01' + INTERVAL n * 15 SECOND AS createdDate,
  IF(n % 4 = 0, NULL, '2024-01-01' + INTERVAL n * 15 + 600 SECOND) AS modifiedDate
FROM (WITH RECURSIVE numbers AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM numbers WHERE n < {rows})
      SELECT n FROM numbers) AS series
"""

_TABLES = {
    "orders": _ORDERS,
    # Every row needs quotes twice: a comma in one value, another empty.
    "quoted": """CREATE TABLE quoted (PRIMARY KEY (orders_id))
        SELECT orders_id, customer_id, restaurant_id, order_number,
        status, subtotal, delivery_fee, discount, total, payment_method, '' AS coupon_code,
        CONCAT('flat ', orders_id % 900, ', the "old" mill') AS instructions, createdDate, modifiedDate FROM orders""",
    "narrow": "CREATE TABLE narrow (PRIMARY KEY (id)) SELECT orders_id AS id, status FROM orders",
    "wide": """CREATE TABLE wide (PRIMARY KEY (id)) SELECT orders_id AS id, REPEAT(SHA2(orders_id, 256), 60) AS hashes,
        REPEAT('lorem ipsum dolor ', 50) AS words FROM orders LIMIT {tenth}""",
}
# Dense rows of about 250 bytes, read through the deployed stack.
LARGE = "large"
_LARGE = """
CREATE TABLE large (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  customer BIGINT UNSIGNED NOT NULL,
  total DECIMAL(12,2) NOT NULL,
  note VARCHAR(255) NOT NULL,
  createdDate DATETIME NOT NULL,
  modifiedDate DATETIME NULL
)
SELECT n AS id, 1 + n * 7919 % 500000 AS customer, 100 + n % 90000 / 100 AS total,
  CONCAT(SHA2(n, 256), ' ', SHA2(n + 1, 256), ' ', SHA2(n + 2, 256)) AS note,
  '2024-01-01' + INTERVAL n * 15 SECOND AS createdDate, NULL AS modifiedDate
FROM (WITH RECURSIVE numbers AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM numbers WHERE n < {rows})
      SELECT n FROM numbers) AS series
"""
ONE_ROW = "one_row"
NAMES = tuple(_TABLES)
KEYS = {"orders": "orders_id", "quoted": "orders_id", "narrow": "id", "wide": "id"}


def make_tables(connection: Any, rows: int) -> None:
    """Create missing tables, and recreate tables with another number of rows.

    Parameters
    ----------
    connection : pymysql.connections.Connection
    rows : int
        The rows of ``orders``; ``wide`` has a tenth of them.
    """
    with connection.cursor() as cursor:
        cursor.execute("SHOW TABLES")
        present = {name for (name,) in cursor.fetchall()}
        if "orders" in present:
            cursor.execute("SELECT COUNT(*) FROM orders")
            if cursor.fetchone() != (rows,):
                cursor.execute(f"DROP TABLE {', '.join(sorted(present & set(NAMES)))}")
                present = set()
        _allow_series(cursor, rows)
        for name, statement in _TABLES.items():
            if name not in present:
                cursor.execute(statement.format(rows=rows, tenth=rows // 10))
                cursor.execute(f"ANALYZE TABLE {name}")
                cursor.fetchall()
        connection.commit()


def make_large_table(connection: Any, rows: int) -> None:
    """Create `LARGE`, and `ONE_ROW` with the first row of it, unless they are there."""
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW TABLES LIKE '{LARGE}'")
        if cursor.fetchall():
            cursor.execute(f"SELECT COUNT(*) FROM {LARGE}")
            if cursor.fetchone() == (rows,):
                return
        _allow_series(cursor, rows)
        cursor.execute(f"DROP TABLE IF EXISTS {LARGE}, {ONE_ROW}")
        cursor.execute(_LARGE.format(rows=rows))
        cursor.execute(f"ANALYZE TABLE {LARGE}")
        cursor.fetchall()
        cursor.execute(f"CREATE TABLE {ONE_ROW} LIKE {LARGE}")
        cursor.execute(f"INSERT INTO {ONE_ROW} SELECT * FROM {LARGE} LIMIT 1")
        connection.commit()


def _allow_series(cursor: Any, rows: int) -> None:
    cursor.execute("SELECT VERSION()")
    (version,) = cursor.fetchone()
    limit = "max_recursive_iterations" if "MariaDB" in version else "cte_max_recursion_depth"
    cursor.execute(f"SET SESSION {limit} = {rows + 1}, sql_mode = ''")
