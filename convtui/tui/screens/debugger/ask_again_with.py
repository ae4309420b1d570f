"""Asks the model again with other parameters."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from convtui.scenario.params_text import parse_params
from convtui.text.boundary import visible_line
from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.screens.debugger.hold_reply import HoldReply
from convtui.tui.screens.dialogs.questions import Ask
from convtui.tui.screens.handlers import Handler


class AskAgainWith:
    """Answers a hold with parameters for one attempt, as typed."""

    def __init__(self, context: DebuggerContext, reply: HoldReply) -> None:
        self._context = context
        self._conversation = context.conversation
        self._reply = reply
        self._last_params = ""
        """The parameters used last, as typed."""

    def handlers(self) -> Iterator[Handler]:
        offered = partial(self._reply.offers, "again")
        yield Handler(
            "hold.ask_again_with",
            self._ask_again_with,
            lambda: offered() is not None,
            moves=True,
        )

    async def _ask_again_with(self) -> None:
        """Asks the model again with other parameters, this time only."""
        hold = self._conversation.hold
        if hold is None:
            self._reply.notify_nothing_held()
            return
        if self._reply.offers("again") is None:
            self._reply.notify_not_offered("Asking again")
            return

        def ask(wrote: str | None) -> Ask:
            return Ask(
                "ask again with other parameters",
                value=self._last_params,
                hint="key=value, separated by spaces: temperature=0.2 model=openai/gpt-4o. Values"
                " are JSON or text. They apply to this attempt only, and are recorded.",
                check=lambda text: self._reply.gone(hold) or parse_params(text)[1],
                wrote=wrote,
            )

        answer = await self._reply.answer_with_text(
            hold, ask, lambda text: ("again", {"params": parse_params(text)[0]})
        )
        if answer is not None:
            self._last_params = answer
            params, _ = parse_params(answer)
            given = ", ".join(f"{name}={value}" for name, value in params.items())
            self._context.notify(f"Asked again with {visible_line(given, 200)}.")
