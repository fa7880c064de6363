"""Commands that are imported when they are used: ``--help`` and the completion wait for none of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, NamedTuple

import typer.main
from typer._click.shell_completion import CompletionItem
from typer.core import TyperGroup
from typer.models import CommandInfo


class Command(NamedTuple):
    """Where a command is.

    Attributes
    ----------
    module : str
        Below ``rds_to_s3_ops.commands``.
    function : str
    summary : str
        What ``--help`` says about it: the first sentence of the function's docstring.
    """

    module: str
    function: str
    summary: str


class _Commands(dict[str, Any]):
    """A group's commands by name. Each is imported when it is taken out."""

    def __init__(self, listed: Mapping[str, Command], groups: Mapping[str, Any]) -> None:
        super().__init__({**dict.fromkeys(listed), **groups})
        self._listed = listed

    def __getitem__(self, name: str) -> Any:
        if super().__getitem__(name) is None:
            module = import_module(f"rds_to_s3_ops.commands.{self._listed[name].module}")
            info = CommandInfo(name=name, callback=getattr(module, self._listed[name].function))
            self[name] = typer.main.get_command_from_info(info, pretty_exceptions_short=False, rich_markup_mode=None)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a command, or the default."""
        return self[name] if name in self else default  # noqa: SIM401 - dict.get would not import it

    def items(self) -> Any:
        """Import every command, and return them with their names."""
        return {name: self[name] for name in self}.items()

    def values(self) -> Any:
        """Import every command, and return them."""
        return {name: self[name] for name in self}.values()


def lazy_group(listed: Mapping[str, Command]) -> type[TyperGroup]:
    """Return the class of a group that has these commands, and the groups that are added to it."""

    class LazyGroup(TyperGroup):
        def __init__(self, **attributes: Any) -> None:
            super().__init__(**attributes)
            self.commands: dict[str, Any] = _Commands(listed, dict(self.commands))

        def _summaries(self) -> Iterator[tuple[str, str]]:
            for name in self.commands:
                yield name, listed[name].summary if name in listed else self.commands[name].help

        def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
            with formatter.section("Commands"):
                formatter.write_dl(list(self._summaries()))

        def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
            if incomplete.startswith("-"):
                return super().shell_complete(ctx, incomplete)
            return [
                CompletionItem(name, help=summary) for name, summary in self._summaries() if name.startswith(incomplete)
            ]

    return LazyGroup
