"""What a screen does for the actions of the registry, as typed rows.

A row has an action's id, the function that performs it, and its current state. The controllers of a
screen give rows; the screen makes one table of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple

from convtui.actions.registry import actions


def always() -> bool:
    """For actions that always apply."""
    return True


def as_registered() -> str | None:
    """For actions whose label does not change."""
    return None


class Handler(NamedTuple):
    """What a screen does for one action.

    `enabled` says whether it applies now; `label` is its current label, None for the registry's.
    `warning` says what a second press will do, None if none is needed now; without it the registry
    decides. An action that `moves` the conversation is refused while the conversation has to wait
    for something.
    """

    action: str
    run: Callable[[], Awaitable[Any] | None]
    enabled: Callable[[], bool] = always
    label: Callable[[], str | None] = as_registered
    warning: Callable[[], str | None] | None = None
    moves: bool = False


def handler_table(handlers: Iterable[Handler]) -> dict[str, Handler]:
    """The rows by action id.

    Raises ValueError for an unregistered id, and for two rows of one action.
    """
    table: dict[str, Handler] = {}
    for handler in handlers:
        if handler.action not in actions():
            raise ValueError(f"{handler.action} is not a registered action")
        if handler.action in table:
            raise ValueError(f"{handler.action} has two handlers")
        table[handler.action] = handler
    return table
