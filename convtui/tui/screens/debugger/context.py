"""What the controllers of the debugger share: the conversation and the screen's services."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from convtui.errors import CommandRefused
from convtui.text.boundary import visible_line
from convtui.tui.textual_compat import is_open
from convtui.tui.widgets import status

if TYPE_CHECKING:
    from convtui.actions.registry import Keymap
    from convtui.client.link import ConversationLink
    from convtui.records.codec import RecordDict
    from convtui.transcript.fold import Transcript, Turn
    from convtui.tui.screens.screen_context import AskScreen, Notify, OpenScreen, Spawn
    from convtui.tui.screens.staged_screen import StagedScreen
    from convtui.tui.sources.replay import ReplaySource
    from convtui.tui.sources.run import LiveRun
    from convtui.tui.sources.source import Source


class ShownConversation:
    """The conversation on the screen: that of `run`, or a recording if `run` is None.

    `source` is replaced when the run continues in another engine.
    """

    def __init__(self, source: Source, run: LiveRun | None = None) -> None:
        self.source = source
        self.run = run
        self.busy_with = ""
        """What the conversation waits for, as a phrase for the status line."""
        self.cancel_busy: Callable[[], object] | None = None
        """Cancels what it waits for; None if that is not possible."""

    @property
    def handle(self) -> ConversationLink | None:
        """The current engine."""
        return self.run.handle if self.run is not None else None

    @property
    def replay(self) -> ReplaySource | None:
        """The recording, if one is shown."""
        return None if self.source.live else cast("ReplaySource", self.source)

    @property
    def transcript(self) -> Transcript:
        return self.source.transcript

    @property
    def has_turns(self) -> bool:
        return bool(self.transcript.turns)

    @property
    def hold(self) -> RecordDict | None:
        """The current hold, while it can be answered."""
        handle = self.handle
        return None if handle is None or handle.over else handle.hold

    @property
    def has_opening(self) -> bool:
        """Whether the first frame shows what is awaited: the start of a run, or many turns."""
        if self.replay is not None:
            return self.replay.is_long
        return self.run is not None and not self.run.goes_on_alone

    @property
    def at_breakpoint(self) -> bool:
        """Whether a breakpoint made the hold, or has fired where a human is asked anyway."""
        hold = self.hold or {}
        detail = str(hold.get("detail") or "")
        return hold.get("reason") == "breakpoint" or detail.startswith("breakpoint ")

    @property
    def over(self) -> bool:
        """Whether a live conversation has ended, however it ended."""
        handle = self.handle
        return handle is not None and handle.over

    @property
    def going(self) -> bool:
        """Whether a live conversation is in progress."""
        return self.run is not None and not self.over

    @property
    def dead(self) -> bool:
        """Whether the engine ended without closing its log."""
        handle = self.handle
        return handle is not None and handle.state.value == "dead"

    @property
    def scenario(self) -> dict[str, Any]:
        """The scenario in the log's header; empty before there is one."""
        scenario = self.transcript.header.get("scenario")
        return scenario if isinstance(scenario, dict) else {}

    @property
    def sides(self) -> tuple[str, str]:
        """The names of persona and provider."""
        return status.sides(self.transcript, self.run.spec if self.run is not None else None)

    @property
    def provider_name(self) -> str:
        """The provider's name for titles."""
        return visible_line(self.sides[1], 60)

    @property
    def speaks_for(self) -> str:
        """The side that a human is to speak for now; empty if none."""
        hold = self.hold
        if hold is None or hold.get("reason") != "human":
            return ""
        return "provider" if hold.get("side") == "provider" else "persona"

    @property
    def deciding(self) -> bool:
        """Whether a responder decides in this conversation."""
        return (
            status.responder_of(self.scenario) is not None
            or "user.decided" in self.transcript.counts
            or self.transcript.decided_before
        )


WriteOutside = Callable[[str], Awaitable[str | None]]
"""Edits a text in the user's editor; None if it is unchanged, or after a notice of the problem."""
Attach = Callable[["LiveRun"], None]
"""Shows the current engine of a run."""


class DebuggerContext(NamedTuple):
    """What every controller may use of the screen."""

    conversation: ShownConversation
    keymap: Keymap
    selected: Callable[[], Turn | None]
    """The selected turn, as shown."""
    notify: Notify
    repaint: Callable[[], None]
    spawn: Spawn
    ask: AskScreen
    open: OpenScreen
    mounted: Callable[[], bool]
    """Whether the screen still exists."""

    @classmethod
    def of(
        cls,
        screen: StagedScreen,
        conversation: ShownConversation,
        selected: Callable[[], Turn | None],
    ) -> DebuggerContext:
        return cls(
            conversation=conversation,
            keymap=screen.keymap,
            selected=selected,
            notify=screen.tell,
            repaint=screen.repaint,
            spawn=screen.spawn,
            ask=screen.ask,
            open=screen.open,
            mounted=lambda: is_open(screen),
        )

    async def send(self, do: str, **arguments: object) -> bool:
        """Sends a command to the engine and shows a refusal; False if it was not carried out."""
        handle = self.conversation.handle
        if handle is None:
            return False
        try:
            await handle.command(do, **arguments)
        except CommandRefused as refused:
            self.show_refusal(refused)
            return False
        return True

    def show_refusal(self, refused: CommandRefused) -> None:
        text = str(refused)
        self.notify(f"{text[:1].upper()}{text[1:]}.", "warning")

    def blocked(self) -> bool:
        """Whether the conversation has to wait for something; says so in a notice."""
        busy_with = self.conversation.busy_with
        if busy_with:
            self.notify(f"Not now: {busy_with}.")
        return bool(busy_with)
