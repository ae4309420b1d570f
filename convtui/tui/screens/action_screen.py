"""Screens whose keys come from the action registry."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from textual import events, on
from textual.actions import SkipAction
from textual.app import App
from textual.screen import Screen

from convtui.actions.registry import Action, Keymap, actions
from convtui.errors import ConvtuiError
from convtui.text.boundary import visible, visible_line
from convtui.tui.drawing.frames import UNFRAMED, has_frames
from convtui.tui.keyboard.typed_keys import takes_text
from convtui.tui.screens.handlers import Handler, handler_table
from convtui.tui.textual_compat import run_while_open
from convtui.tui.widgets.keybar import KeyBar, KeyItem

if TYPE_CHECKING:
    from convtui.tui.app import ConvtuiApp

T = TypeVar("T")
SECOND_PRESS = 4.0
"""Seconds within which a second press of a key confirms."""


class ActionScreen(Screen[Any], inherit_bindings=False):
    """A screen that finds the action for a key, given its current contexts.

    What it does for each action is in the rows of `handlers()`.
    """

    KEY_CONTEXTS: Sequence[str] = ()
    """Every context this screen can be in."""
    quit_does = ""
    """What `quit()` does now, as a verb; empty where it just goes back or leaves the app."""

    def __init__(self, keymap: Keymap) -> None:
        super().__init__()
        self.keymap = keymap
        self._armed: tuple[str, float] = ("", 0.0)
        self._actions_by_context: dict[tuple[str, ...], dict[str, Action | None]] = {}
        self._keys_by_context: dict[tuple[str, ...], dict[str, tuple[str, ...]]] = {}
        for action in keymap.actions_in(*self.KEY_CONTEXTS):
            for key in keymap.keys(action):
                if not self._bindings.key_to_bindings.get(key):
                    self._bindings.bind(key, f"press('{key}')", show=False)

    @on(events.Mount)
    @on(events.Resize)
    @on(events.ScreenResume)
    def _fit_frames(self) -> None:
        """Frames the panes while there is room; the terminal may change while this is hidden."""
        self.set_class(not has_frames(self.app.size), UNFRAMED)

    @on(events.ScreenResume)
    def _keep_styles(self, event: events.ScreenResume) -> None:
        if not self.capp.has_begun:
            # Every widget has just been styled.
            event.refresh_styles = False

    @property
    def capp(self) -> ConvtuiApp:
        """The app, with its type."""
        return cast("ConvtuiApp", self.app)

    # --- for subclasses

    def contexts(self) -> tuple[str, ...]:
        """The current contexts; the first one that has a key wins."""
        return tuple(self.KEY_CONTEXTS)

    def help_contexts(self) -> tuple[str, ...]:
        """The contexts for help: `contexts()`, after that of a focused input."""
        return self.contexts()

    def handlers(self) -> Iterable[Handler]:
        """What this screen does, besides what all screens do; called once."""
        return ()

    def blocked(self) -> bool:
        """Whether actions that move the conversation have to wait; says so in a notice."""
        return False

    def quit(self) -> Awaitable[None] | None:
        """Goes back, or leaves the app."""
        self.app.exit(0)
        return None

    def back(self) -> Awaitable[None] | None:
        """Goes back one step; the last screen stays."""
        if self.app.screen_stack[0] is self:
            key = self._shown_key(actions()["app.quit"], typing=takes_text(self.focused))
            self.tell(f"Nothing to go back to: {key} quits.")
            return None
        return self.quit()

    def footer_ids(self) -> Sequence[str]:
        """The actions in the footer, most important first; the last one always stays."""
        return ()

    # --- keys to actions

    def action_press(self, key: str) -> Awaitable[None] | None:
        action = self.action_of(key)
        if action is None:
            raise SkipAction
        self.perform(action.id)
        return None

    def press(self, key: str) -> None:
        """Does what a key does here that was pressed on a page over this screen."""
        if self.action_of(key) is not None:
            self.action_press(key)

    def action_of(self, key: str) -> Action | None:
        """The action of a key in the current contexts."""
        return self._action_in(self.contexts(), key)

    def _action_in(self, contexts: tuple[str, ...], key: str) -> Action | None:
        known = self._actions_by_context.setdefault(contexts, {})
        if key not in known:
            known[key] = self.keymap.find(key, contexts)
        return known[key]

    def _working_keys(self, action: Action) -> tuple[str, ...]:
        """The keys of an action that no other action takes in the current contexts."""
        contexts = self.contexts()
        known = self._keys_by_context.setdefault(contexts, {})
        if action.id not in known:
            keys = self.keymap.keys(action)
            if not action.contexts.isdisjoint(contexts):  # else it is of a focused input
                keys = tuple(key for key in keys if self._action_in(contexts, key) is action)
            known[action.id] = keys
        return known[action.id]

    def keys_dropped(self) -> None:
        """Says that keys in a burst, or right after text, were ignored."""
        self.tell("Keys ignored: they came in a burst or right after text.")

    @cached_property
    def table(self) -> dict[str, Handler]:
        """The handlers by action id."""
        heard = {action.id for action in self.keymap.actions_in(*self.KEY_CONTEXTS)}
        common = (handler for handler in self._common_handlers() if handler.action in heard)
        return handler_table((*common, *self.handlers()))

    def _common_handlers(self) -> Iterator[Handler]:
        yield Handler("app.help", self._help)
        yield Handler("app.manual", partial(self._help, manual=True))
        yield Handler("app.palette", self._open_palette)
        yield Handler("app.quit", self.quit, label=self._quit_label)
        yield Handler("app.back", self.back)
        yield from self.capp.handlers()

    def _quit_label(self) -> str:
        return "quit" if self.app.screen_stack[0] is self else "back"

    def enabled(self, action_id: str) -> bool:
        """Whether an action applies now."""
        handler = self.table.get(action_id)
        return handler is not None and handler.enabled()

    def label(self, action: Action) -> str:
        """An action's current label."""
        handler = self.table.get(action.id)
        return (handler.label() if handler is not None else None) or action.label

    def perform(self, action_id: str) -> None:
        """Performs an action, or asks for a second press."""
        handler = self.table.get(action_id)
        if handler is None or (handler.moves and self.blocked()):
            return
        if self.enabled(action_id) and not self._confirmed(handler):
            return
        result = handler.run()
        if inspect.isawaitable(result):
            self.spawn(result, name=action_id)
        self.refresh_footer()

    def _confirmed(self, handler: Handler) -> bool:
        """Whether an action needs no confirmation, or this press is it; else asks for it."""
        action = actions()[handler.action]
        if handler.warning is not None:
            warning = handler.warning()
        else:
            warning = action.help if action.confirm else None
        if warning is None:
            return True
        name, since = self._armed
        if name == action.id and time.monotonic() - since < SECOND_PRESS:
            self._armed = ("", 0.0)
            self.app.clear_notifications()
            return True
        self._armed = (action.id, time.monotonic())
        # The key first: a narrow terminal cuts the end.
        again = f"Press {self.keymap.shown(action)} again"
        self.tell(f"{again}: {warning[:1].lower()}{warning[1:]}")
        return False

    def available(self) -> Iterator[Action]:
        """The actions that apply now."""
        for action in self.keymap.actions_in(*self.contexts()):
            if self.enabled(action.id):
                yield action

    # --- the footer

    def footer_items(self) -> list[KeyItem]:
        items: list[KeyItem] = []
        typing = takes_text(self.focused)
        for action_id in self.footer_ids():
            action = actions()[action_id]
            key = self._shown_key(action, typing=typing)
            label = self.label(action)
            if label == "back" and action_id != "app.quit":
                continue  # one key that leaves is enough
            if key and self.enabled(action_id):
                items.append(KeyItem(key, visible_line(label, 24), action_id))
        return items

    def _shown_key(self, action: Action, *, typing: bool) -> str:
        """The first key of an action that works now, for display; empty if there is none."""
        if typing:
            return self.keymap.shown_while_typing(action)
        keys = self._working_keys(action) if self.keymap.shown_keys(action) else ()
        return self.keymap.display(keys[0]) if keys else ""

    @property
    def _key_bar(self) -> KeyBar | None:
        """The footer; None before it is there, and after."""
        return next((child for child in self.children if isinstance(child, KeyBar)), None)

    def refresh_footer(self) -> None:
        bar = self._key_bar
        if bar is not None:
            bar.items = self.footer_items()

    def on_key_bar_chosen(self, event: KeyBar.Chosen) -> None:
        event.stop()
        self.perform(event.action)

    # --- services

    def spawn(self, work: Awaitable[Any], *, name: str = "", group: str = "default") -> None:
        """Runs `work` in the background; a `ConvtuiError` becomes a notice."""

        async def guarded() -> None:
            try:
                await work
            except ConvtuiError as error:
                self.tell(str(error), "error")

        run_while_open(self, guarded(), name=name, group=group)

    def tell(self, text: str, severity: str = "information") -> None:
        """Shows a notice, which replaces the previous one."""
        level = cast("Any", severity)
        self.app.notify(visible(text)[:1500], severity=level, markup=False, timeout=5)

    async def ask(self, screen: Screen[T]) -> T | None:
        """Opens a screen and waits for its result; only for actions and spawned work."""
        return await self.app.push_screen_wait(screen)

    def open(
        self,
        screen: Screen[T],
        closed: Callable[[T | None], None] | Callable[[T | None], Awaitable[None]] | None = None,
    ) -> None:
        """Opens a screen over this one; `closed` is called with its result."""
        self.app.push_screen(screen, closed)

    def _open_palette(self) -> None:
        """Offers the actions that apply now; what fits the moment comes first."""
        from convtui.tui.screens.dialogs.commands import Command, Commands

        footer = {name: rank for rank, name in enumerate(self.footer_ids())}
        offered = [a for a in self.available() if a.id not in ("app.palette", "app.interrupt")]
        last = len(footer)

        def rank(action: Action) -> int:
            """The answers to a hold first, then the keys of the footer, numbered ones last."""
            if action.id[-1:].isdigit():
                return last + 1
            return -1 if action.group == "Held" else footer.get(action.id, last)

        offered.sort(key=rank)
        commands = [
            Command(a.id, a.help.rstrip("."), self._shown_key(a, typing=False), self.label(a))
            for a in offered
        ]

        def chosen(action_id: str | None) -> None:
            if action_id is not None:
                self.perform(action_id)

        self.open(Commands(commands), chosen)

    def _help(self, *, manual: bool = False) -> None:
        from convtui.manual.pages import topic_of
        from convtui.tui.screens.help import HelpScreen

        contexts = self.help_contexts()
        input_actions = [] if contexts == self.contexts() else self.keymap.actions_in(contexts[0])
        listed = list(dict.fromkeys([*input_actions, *self.available()]))
        keys = {action.id: self._working_keys(action) for action in self.available()}
        self.app.push_screen(
            HelpScreen(
                self.keymap,
                listed,
                topic_of(contexts),
                keys=keys,
                contexts=contexts,
                manual=manual,
                monochrome=self.capp.palette.monochrome,
            )
        )


def action_screen_of(app: App[Any]) -> ActionScreen | None:
    """The topmost screen with actions: the current one, or that below a dialog."""
    return next((s for s in reversed(app.screen_stack) if isinstance(s, ActionScreen)), None)
