"""What the demo says at its end."""

from __future__ import annotations

from pathlib import Path

from local.demo import conclusion, disk_bytes


def run(rows: int, proved: int) -> dict[str, object]:
    tables = [{"proof": {"whole_until": "2025-04-02 12:00:00" if number < proved else None}} for number in range(3)]
    return {"totals": {"tables": 3, "rows": rows, "files": int(rows > 0)}, "tables": [*tables[:2], {"proof": None}]}


def test_it_ends_in_what_was_achieved_what_it_takes_and_how_to_get_rid_of_it() -> None:
    disk = {Path("/x/.local"): 1_200_000_000, Path("/x/.venv"): 600_000_000}
    lines = conclusion([("everything", run(98, 0)), ("no changes", run(0, 2))], "food", Path("/x/pages"), disk)
    assert lines[2:5] == [
        "run 1: 3 tables, 98 rows in 1 files: everything",
        "run 2: 3 tables, 0 rows in 0 files: no changes",
        "proved: 2 of 3 tables equal the database, row by row",
    ]
    assert "one page for all:   file:///x/pages/index.html" in lines
    assert lines[-2] == "disk: 1.8 GB (.local 1.2 GB, .venv 0.6 GB), and nothing elsewhere"
    assert "make clean" in lines[-1]


def test_the_disk_that_a_folder_takes_is_that_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"x" * 100_000)
    (tmp_path / "a" / "link").symlink_to("/nowhere")
    assert 100_000 <= disk_bytes(tmp_path) < 200_000
