"""What a screen does for the actions of the registry, as typed rows.

A row is an action's id, what carries it out, and what is known of it just now. The parts of a
screen give rows; the screen makes one table of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from convtui.actions.registry import actions


def always() -> bool:
    """For actions that can be done at any time."""
    return True


def as_registered() -> str | None:
    """For actions that have one name."""
    return None


@dataclass(frozen=True, slots=True)
class Handler:
    """What a screen does for one action.

    `enabled` tells whether it would do something now, `label` what it is called now where that is
    not the registry's label. `warning` says what a second press will do, or None where none is
    needed now; without it the registry decides. What `moves` the conversation is refused while the
    screen is busy with something that the conversation has to wait for.
    """

    action: str
    run: Callable[[], Awaitable[Any] | None]
    enabled: Callable[[], bool] = always
    label: Callable[[], str | None] = as_registered
    warning: Callable[[], str | None] | None = None
    moves: bool = False


def handler_table(handlers: Iterable[Handler]) -> dict[str, Handler]:
    """The rows by action id.

    Raises ValueError for an id that is not registered, and for two rows of one action.
    """
    table: dict[str, Handler] = {}
    for handler in handlers:
        if handler.action not in actions():
            raise ValueError(f"{handler.action} is not in the registry of actions")
        if handler.action in table:
            raise ValueError(f"{handler.action} has two handlers")
        table[handler.action] = handler
    return table
