"""What the controllers of a screen may use of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from textual.screen import Screen

if TYPE_CHECKING:
    from convtui.actions.registry import Keymap
    from convtui.tui.screens.action_screen import ActionScreen

T = TypeVar("T")


class Notify(Protocol):
    """Shows a notice, which replaces the previous one."""

    def __call__(self, text: str, severity: str = "information") -> None: ...


class Spawn(Protocol):
    """Runs work in the background; a `ConvtuiError` becomes a notice."""

    def __call__(self, work: Awaitable[Any], *, name: str = "", group: str = "default") -> None: ...


class AskScreen(Protocol):
    """Opens a screen and waits for its result; only for actions and spawned work."""

    def __call__(self, screen: Screen[T]) -> Awaitable[T | None]: ...


class OpenScreen(Protocol):
    """Opens a screen over this one; `closed` is called with its result."""

    def __call__(
        self,
        screen: Screen[T],
        closed: Callable[[T | None], None] | Callable[[T | None], Awaitable[None]] | None = None,
    ) -> object: ...


@runtime_checkable
class AnswersInterrupt(Protocol):
    """A dialog in which ctrl+c may be an answer."""

    def interrupted(self) -> bool:
        """Answers for ctrl+c; False if there is no such answer."""
        ...


class ScreenContext(NamedTuple):
    """Notices, background work, other screens, the footer."""

    keymap: Keymap
    notify: Notify
    spawn: Spawn
    ask: AskScreen
    open: OpenScreen
    refresh_keys: Callable[[], None]
    """Updates the footer."""

    @classmethod
    def of(cls, screen: ActionScreen) -> ScreenContext:
        return cls(
            keymap=screen.keymap,
            notify=screen.tell,
            spawn=screen.spawn,
            ask=screen.ask,
            open=screen.open,
            refresh_keys=screen.refresh_footer,
        )
