"""The rooms of both packages: imports go down the list, never up, and none is crowded."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLOORS = {
    "functions/rds_to_s3": [
        ["extract", "gate", "manifest"],
        ["extract/proof", "extract/ranges", "manifest/overview"],
        ["extract/stages", "manifest/report"],
        ["extract/scope"],
        ["reported"],
        ["commit"],
        ["plan"],
        ["aws", "checks"],
        ["mysql/catalogue", "mysql/server", "mysql/wire"],
        ["formats", "mysql", "s3"],
        ["rows"],
        [""],
    ],
    "ops/rds_to_s3_ops": [
        ["docs"],
        ["cli"],
        ["commands"],
        ["inspection"],
        ["load", "runs", "verify"],
        ["verify/reading"],
        ["catalogue", "warehouses"],
        ["deployment"],
        ["screen"],
        [""],
    ],
}
MOST_FILES = 9


def _modules(package: str) -> Iterator[Path]:
    yield from sorted((ROOT / package).rglob("*.py"))


def _floor(package: str, module: str) -> tuple[int, str]:
    """Return the floor and the room of a module, named as its path below the package without its ending."""
    rooms = {room: number for number, floor in enumerate(FLOORS[package]) for room in floor}
    place = module
    while place not in rooms:
        place = place.rpartition("/")[0]
    return rooms[place], place


def _imports(path: Path, name: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == name:
            inside = node.module.split(".")[1:]
            if inside:
                yield "/".join(inside)
            else:
                yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("package", FLOORS)
def test_imports_go_down(package: str) -> None:
    up = []
    for path in _modules(package):
        module = path.relative_to(ROOT / package).with_suffix("").as_posix().removesuffix("/__init__")
        floor, room = _floor(package, module)
        for imported in _imports(path, Path(package).name):
            other_floor, other_room = _floor(package, imported)
            if other_room != room and other_floor <= floor:
                up.append(f"{module} -> {imported}")
    assert not up, "\n".join(up)


@pytest.mark.parametrize("package", FLOORS)
def test_no_file_imports_what_imports_it(package: str) -> None:
    names = {path.relative_to(ROOT / package).with_suffix("").as_posix(): path for path in _modules(package)}
    graph = {
        name: {each for each in _imports(path, Path(package).name) if each in names} for name, path in names.items()
    }
    sorter: TopologicalSorter[str] = TopologicalSorter(graph)
    sorter.prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("package", FLOORS)
def test_no_room_is_crowded(package: str) -> None:
    files: dict[str, int] = defaultdict(int)
    for path in _modules(package):
        files[path.parent.relative_to(ROOT / package).as_posix()] += path.name != "__init__.py"
    assert {room: count for room, count in files.items() if count > MOST_FILES} == {}


@pytest.mark.parametrize("package", FLOORS)
def test_no_file_is_long(package: str) -> None:
    lengths = {str(path): len(path.read_text(encoding="utf-8").splitlines()) for path in _modules(package)}
    assert {path: lines for path, lines in lengths.items() if lines > 400} == {}
