"""What is done to a whole batch that runs here: pause, breakpoints, end, reload."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

from convtui.errors import ConvtuiError
from convtui.text.boundary import visible_line
from convtui.text.counts import counted
from convtui.tui.screens.dialogs.questions import Ask, Choose
from convtui.tui.screens.fleet.fleet_list import FleetList
from convtui.tui.screens.fleet.view import Controls, Fleet
from convtui.tui.screens.handlers import Handler
from convtui.tui.screens.screen_context import ScreenContext

_HINT = "A filter: each conversation waits where it matches, such as ~signal & ~turn > 3."


class FleetControl:
    """Acts on all conversations, or on the selected one."""

    def __init__(
        self,
        context: ScreenContext,
        fleet: Fleet,
        listed: FleetList,
        *,
        end_all: Callable[[], Awaitable[object]],
        repaint: Callable[[], None],
    ) -> None:
        self._context, self._fleet, self._listed = context, fleet, listed
        self._end_all, self._repaint = end_all, repaint

    def handlers(self) -> Iterator[Handler]:
        yield Handler("fleet.pause", self._pause, self._runs, self._pause_label)
        yield Handler("fleet.break", self._break, self._runs)
        yield Handler("fleet.end", self._end, self._can_end)
        yield Handler("fleet.end_all", self._end_all, self._runs)
        yield Handler("fleet.reload", self._reload, self._runs)

    @property
    def _controls(self) -> Controls | None:
        return None if self._fleet.over else self._fleet.controls

    def _runs(self) -> bool:
        return self._controls is not None and not self._fleet.standing().ending

    def _can_end(self) -> bool:
        row = self._listed.selected
        return self._runs() and row is not None and not row.over and row.state != "waiting"

    def _pause_label(self) -> str:
        return "go on" if self._fleet.standing().paused else "pause all"

    def _pause(self) -> None:
        controls = self._controls
        if controls is None:
            return
        key = self._context.keymap.shown("fleet.pause")
        if self._fleet.standing().paused:
            controls.resume_all()
            self._context.notify("All conversations go on.")
        else:
            controls.pause_all()
            self._context.notify(
                f"All conversations pause after what they are at; {key} lets them go on."
            )
        self._repaint()

    async def _end(self) -> None:
        controls, row = self._controls, self._listed.selected
        if controls is not None and row is not None:
            await controls.end(row.key)
            self._context.notify(f"{visible_line(row.key, 60)} ends after its turn.")

    # --- breakpoints

    def _break(self) -> None:
        breaks = self._fleet.standing().breaks
        if not breaks:
            self._ask_break()
            return
        answers = [("another", "Set another breakpoint")]
        answers += [
            (str(number), f"Clear {visible_line(text, 60)}") for number, text in enumerate(breaks)
        ]

        def chosen(answer: str | None) -> None:
            if answer == "another":
                self._ask_break()
            elif answer is not None:
                self._context.spawn(self._clear(breaks[int(answer)]))

        self._context.open(Choose("breakpoints for all conversations", answers), chosen)

    def _ask_break(self, wrote: str | None = None) -> None:
        def given(text: str | None) -> None:
            if text is not None:
                self._context.spawn(self._set(text.strip()))

        self._context.open(
            Ask("break all conversations where", hint=_HINT, check=_problem, wrote=wrote), given
        )

    async def _set(self, text: str) -> None:
        controls = self._controls
        if controls is None or not text:
            return
        try:
            await controls.add_break(text)
        except ConvtuiError:
            self._ask_break(text)
            raise
        self._context.notify(f"Each conversation waits where it matches: {text}")
        self._repaint()

    async def _clear(self, text: str) -> None:
        controls = self._controls
        if controls is not None:
            await controls.clear_break(text)
            self._context.notify(f"Breakpoint cleared: {text}")
            self._repaint()

    # --- the provider's code

    async def _reload(self) -> None:
        controls = self._controls
        if controls is None:
            return
        self._context.notify("Loading the provider's code ...")
        old = await controls.reload()
        running = f"; {counted(old, 'conversation')} still on the old" if old else ""
        self._context.notify(f"New conversations get the provider's code as it is now{running}.")
        self._repaint()


def _problem(text: str) -> str | None:
    """What is wrong with a breakpoint."""
    from convtui.filters.breaks import parse_breakpoint

    try:
        parse_breakpoint(text)
    except ConvtuiError as error:
        return str(error)
    return None
