"""What each state of the state machine can raise, held against the code that it runs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from rds_to_s3 import errors

FUNCTIONS = Path(__file__).parents[2] / "functions"
HANDLERS = {
    "PlanRun": "plan_run.handler",
    "ExtractTable": "extract_table.handler",
    "WriteManifest": "write_manifest.handler",
    "CheckRun": "check_run.handler",
}
PERMANENT = {
    name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, errors.PermanentError)
} - {"PermanentError"}


def source_of(module: str) -> Path | None:
    path = FUNCTIONS / module.replace(".", "/")
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def run_time_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield what is there when the code runs: not what only the type checker sees."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            yield node
            yield from run_time_nodes(node)


def permanent_errors_in(handler: str) -> set[str]:
    """Return the permanent errors that a handler's module, and whatever it imports, names."""
    seen, todo, found = {"rds_to_s3.errors"}, [handler], set()
    while todo:
        module = todo.pop()
        path = source_of(module)
        if module in seen or path is None:
            continue
        seen.add(module)
        for node in run_time_nodes(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                todo += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Name) and node.id in PERMANENT:
                found.add(node.id)
    return found


@pytest.mark.parametrize("state", HANDLERS)
def test_a_state_raises_what_its_code_names_and_nothing_else(state: str) -> None:
    assert {error.__name__ for error in errors.RAISED_BY[state]} == permanent_errors_in(HANDLERS[state])


def test_every_permanent_error_comes_from_somewhere() -> None:
    assert {error.__name__ for each in errors.RAISED_BY.values() for error in each} == PERMANENT
