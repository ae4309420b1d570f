"""What a screen does for the actions of the registry, as typed rows.

A row is an action's id, what carries it out, and what is known of it just now. The parts of a
screen give rows; the screen makes one table of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from convtui.actions import actions


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


def rows_of_methods(
    screen: object, warning: Callable[[str], str | None] | None = None
) -> Iterator[Handler]:
    """Rows for the methods `do_<id>` of a screen that has not been taken apart yet."""
    for action_id in actions():
        name, _, digit = action_id.replace(".", "_").rpartition("_")
        method = getattr(screen, "do_" + action_id.replace(".", "_"), None)
        if method is None and digit.isdigit() and hasattr(screen, f"do_{name}"):
            method = partial(getattr(screen, f"do_{name}"), int(digit))
        if method is not None:
            asks = None if warning is None else partial(warning, action_id)
            yield Handler(action_id, method, warning=asks)


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
