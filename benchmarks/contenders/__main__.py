"""One contender's read of one table, in its own process: ``python -m benchmarks.contenders NAME TABLE FILE``.

``BENCHMARK_URL`` is the database's URL, and ``BENCHMARK_BUCKET`` the bucket of contenders that write to S3. Prints one
line of JSON: rows, seconds and CPU seconds from the query on, without imports and the connection. No connection is
encrypted, because not every contender supports it.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from benchmarks.contenders import CONTENDERS


def main() -> None:
    name, table, path = sys.argv[1:]
    read = CONTENDERS[name](table, Path(path))
    began, cpu = time.perf_counter(), time.process_time()
    rows = read()
    print(json.dumps({"rows": rows, "seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}))


if __name__ == "__main__":
    main()
