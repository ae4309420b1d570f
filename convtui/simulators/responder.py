"""A user that decides: after each provider message it replies, stops or abstains.

The model is told a brief once and then asked, message by message, to call exactly one of three
tools. What counts as a decision is in `decisions`; this is the session in which it is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, Self

from convtui.errors import BadModelRequest, ContextTooLong, ConversationError, UserSimulatorError
from convtui.models.base import Message, ModelClient, Reply
from convtui.providers.base import HistoryTurn
from convtui.scenario.simulators.responder import ResponderKeys
from convtui.simulators.base import (
    Abstain,
    Asked,
    CapExhausted,
    Casting,
    Decision,
    Say,
    Stop,
    Undecided,
    UserAction,
    UserSimulator,
    View,
)
from convtui.simulators.decisions import JSON_FORM, REPLY_TOOL, TOOLS, classify, decision_messages
from convtui.text_checks.reasoning import without_reasoning

DecideWith = Literal["auto", "tools", "json"]

_ROLE: Final = "You play the user in a conversation with an assistant."
_FIRST: Final = "Decide what the user does next and call exactly one tool:"
_CHOICES: Final = """\
- responder_reply with the user's answer, when the brief tells what to answer;
- responder_stop, when the user has what it came for, or nothing is left to say;
- responder_abstain with the reason, when the brief does not tell what the user would answer."""
_LATER: Final = (
    "Call exactly one tool (responder_reply, responder_stop or responder_abstain) for what the"
    " user does next."
)
_GOES_ON: Final = (
    "You were about to end here. The user goes on all the same: say what the user says next."
)
_NOTHING: Final = "(The assistant's message was empty.)"


class ResponderSimulator(UserSimulator):
    """Asks a model what the user does: reply, stop or abstain.

    Its session is its own: the brief (`instructions`) is sent once, with the first question; every
    exchange whose answer was said stays in it, and where something else was said the next question
    tells so. A log holds it, and `restore()` takes it back. `max_followups`
    caps the replies; at the cap it is asked once more for the record (`Asked.for_record`).

    Raises `UserSimulatorError` for a blank brief or a cap below 1.
    """

    def __init__(
        self,
        name: str,
        client: ModelClient,
        *,
        instructions: str,
        max_followups: int,
        opening: str,
        decide_with: DecideWith = "auto",
    ) -> None:
        if not instructions.strip():
            raise UserSimulatorError("responder.instructions is required")
        if max_followups < 1:
            raise UserSimulatorError(
                f"responder.max_followups must be at least 1, got {max_followups}"
            )
        if not opening.strip():
            raise UserSimulatorError(
                f"persona {name} has nothing to open with: a responder opens with `opening`,"
                " or with the `task`"
            )
        self.name = name
        self.instructions = instructions
        self.brief_edited = False
        self.max_followups = max_followups
        self.sent = 0
        """Follow-ups that were said."""
        self._client = client
        self._opening = opening
        self._decide_with = decide_with
        self._refused = False
        """Whether the endpoint refused tools."""
        self._messages: list[Message] = []
        """The session so far: questions whose answers were said, with those answers."""
        self._open: tuple[int, int, list[Message], str] | None = None
        """The last exchange, while it is not known whether its answer was said."""
        self._heard: tuple[int, int] = (0, 0)
        """The last turn that the session knows of."""
        self._answered = ""
        self._overruled = False
        """Whether its last decision was to end, and that was overridden."""
        self._spare: tuple[list[Message], str] | None = None
        """What it would have said at the cap, with its session as it would be then."""
        self._promised: tuple[list[Message], str] | None = None
        """The same, once it is to be said after all."""
        self.calls = 0

    @classmethod
    def of(cls, persona: ResponderKeys, casting: Casting) -> Self:
        """Decides by a persona's brief, with the model of the brief or of the persona."""
        brief = persona.responder
        if brief is None:
            raise UserSimulatorError(f"persona {persona.name} is a responder without a brief")
        model = brief.model or persona.model
        if not model:
            raise UserSimulatorError(
                f"persona {persona.name} needs a model: `model:` in the brief or the persona, or"
                " --user-model"
            )
        opening = persona.opening if persona.opening not in (None, "task") else persona.task
        return cls(
            persona.name,
            casting.models.client(model, persona.params),
            instructions=brief.instructions,
            max_followups=brief.max_followups,
            opening=opening or "",
            decide_with=brief.decide_with,
        )

    # --- asking

    def ask(self, view: View) -> Asked:
        """The opening, else a question about the provider's last message."""
        if not any(t.speaker == "persona" and t.session == view.session for t in view.turns):
            return Asked(say=Say(self._opening))
        self._settle(view)
        if self._promised is not None:
            messages, answer = self._promised
            self._promised = None
            self.expect(view, messages, answer)
            decision = Decision("reply", tool=REPLY_TOOL, arguments={"answer": answer})
            return Asked(say=Say(answer, decision=decision))
        messages = self._asked(view)
        tools = () if self._as_json else TOOLS
        self.calls += 1
        return Asked(
            messages=messages,
            params=dict(self._client.params),
            model=self._client.model,
            tools=[tool["function"]["name"] for tool in tools] or None,
            open=lambda: self._client.stream(messages, tools=tools, params=self.overlay),
            side="responder",
            stands=lambda reply: self._classified(reply).kind != "error",
            for_record=self.sent >= self.max_followups,
        )

    @property
    def _as_json(self) -> bool:
        return self._decide_with == "json" or self._refused

    def another_way(self, error: ConversationError) -> str | None:
        """With tools refused by the endpoint, the same question can be answered with JSON."""
        if (
            self._decide_with != "auto"
            or self._refused
            or not isinstance(error, BadModelRequest | ContextTooLong)
        ):
            return None
        words = str(error).casefold()
        if "tool" not in words and "function" not in words:
            return None
        self._refused = True
        return "the endpoint refuses tools: decisions are asked for as JSON from here on"

    def _asked(self, view: View) -> list[Message]:
        question = self._question(view)
        if self._as_json:
            question = f"{question}\n\n{JSON_FORM}"
        return [*self._messages, {"role": "user", "content": question}]

    def _question(self, view: View) -> str:
        last = view.last_of("provider")
        heard = (last.text if last is not None else "") or _NOTHING
        between = [
            turn for turn in view.turns if (turn.session, turn.turn) > self._heard and turn != last
        ]
        if not self._messages:
            parts = [self.instructions, _ROLE]
            if between:
                parts.append(f"So far:\n\n{_lines(between)}")
            parts.append(f"The assistant just said:\n\n{heard}")
            if self._overruled:
                parts.append(_GOES_ON)
            parts.append(f"{_FIRST}\n{_CHOICES}")
            return "\n\n".join(parts)
        parts = []
        if not self._as_answered(between):
            parts.append(f"Your last answer was not sent as it was. In fact:\n\n{_lines(between)}")
        parts.append(f"The assistant just said:\n\n{heard}")
        if self._overruled:
            parts.append(_GOES_ON)
        parts.append(_LATER)
        return "\n\n".join(parts)

    def _as_answered(self, between: Sequence[HistoryTurn]) -> bool:
        """Whether all that happened since is that the last answer was said."""
        said = [turn.text for turn in between]
        return [turn.speaker for turn in between] == ["persona"] and said == [self._answered]

    def _settle(self, view: View) -> None:
        """Keeps the last exchange where a persona turn came of it, else forgets it."""
        if self._open is None:
            return
        session, turn, messages, answer = self._open
        self._open = None
        if any(t.speaker == "persona" and (t.session, t.turn) == (session, turn)
               for t in view.turns):  # fmt: skip
            self._messages = messages
            self._answered = answer
            self._heard = (session, turn - 1)
            self.sent += 1
            self._overruled = False

    # --- the answer

    def interpret(self, reply: Reply, view: View) -> UserAction:
        """Say, stop, abstain, or nothing that counts."""
        decision = self._classified(reply)
        if self.sent >= self.max_followups:
            answer = _answer(decision)
            told = [*self._asked(view), *decision_messages(reply)]
            self._spare = (told, answer) if decision.kind == "reply" else None
            return CapExhausted(used_up(self.max_followups), decision=decision)
        if decision.kind == "error":
            return Undecided(decision.reason or "", decision=decision)
        answer = _answer(decision)
        self.expect(view, [*self._asked(view), *decision_messages(reply)], answer)
        if decision.kind == "reply":
            return Say(str((decision.arguments or {}).get("answer", "")), decision=decision)
        if decision.kind == "abstain":
            return Abstain(decision.reason or "", decision=decision)
        return Stop("the responder has what it came for", decision=decision)

    def post_process_response(self, text: str) -> str:
        """What is said: no reasoning."""
        return without_reasoning(text)

    def expect(self, view: View, messages: list[Message], answer: str) -> None:
        """What the session is from here on, should the turn in progress be said."""
        self._open = (view.session, view.turn, messages, answer)

    def _classified(self, reply: Reply) -> Decision:
        return classify(reply, as_json=self._as_json)

    # --- by hand

    def edit_brief(self, instructions: str) -> str:
        """Puts other instructions in place; returns those before. Raises `UserSimulatorError`."""
        if not instructions.strip():
            raise UserSimulatorError("responder.instructions is required")
        before, self.instructions = self.instructions, instructions
        self.brief_edited = True
        self._retell(before)
        return before

    def _retell(self, before: str) -> None:
        """Puts the brief in force into the first question of the session, where it stands."""
        if self._messages:
            first = dict(self._messages[0])
            first["content"] = str(first["content"]).replace(before, self.instructions, 1)
            self._messages[0] = first

    def overrule(self) -> None:
        """The end that it decided on, or that the cap was, is none.

        At the cap there is one follow-up more: what it would have said is said. Where it was to
        stop or abstain it is asked again, and told so.
        """
        if self.sent >= self.max_followups:
            self.max_followups += 1
            self._promised, self._spare = self._spare, None
        self._overruled = self._promised is None

    # --- going back and closing

    def restore(self, memory: Mapping[str, Any]) -> None:
        """Takes a session back: `{messages, sent, heard: [session, turn], answered, briefs}`.

        `briefs` are the one `in_force` and the `scenario`'s that it was made of. Raises
        `UserSimulatorError` for a session that is damaged.
        """
        try:
            self._messages = [dict(message) for message in memory.get("messages", ())]
            self.sent = int(memory.get("sent", 0))
            session, turn = memory.get("heard", (0, 0))
            self._heard = (int(session), int(turn))
            self._answered = str(memory.get("answered", ""))
            briefs = dict(memory.get("briefs") or {})
        except (TypeError, ValueError) as error:
            raise UserSimulatorError(
                f"the responder's recorded session is damaged: {error}"
            ) from None
        told = str(briefs.get("in_force") or self.instructions)
        if briefs.get("scenario") == self.instructions:
            # The scenario says what it said: a brief that was edited by hand stays in force.
            self.brief_edited = told != self.instructions
            self.instructions = told
        elif told != self.instructions:
            self.brief_edited = True
            self._retell(told)

    async def close(self) -> int | None:
        """Ends the session; the next question begins another. Idempotent."""
        calls, self.calls = self.calls, 0
        self._messages, self._open = [], None
        self._answered, self._heard, self.sent = "", (0, 0), 0
        return calls or None

    async def cleanup(self) -> None:
        """Closes the session."""
        await self.close()


def _answer(decision: Decision) -> str:
    """What is said of a decision: its answer without what was only thought."""
    return without_reasoning(str((decision.arguments or {}).get("answer", "")))


def used_up(followups: int) -> str:
    """Why it ends where no follow-up is left of as many."""
    return (
        "the only follow-up is used up"
        if followups == 1
        else (f"all {followups} follow-ups are used up")
    )


def _lines(turns: Sequence[HistoryTurn]) -> str:
    names = {"persona": "The user said", "provider": "The assistant said"}
    return "\n\n".join(f"{names.get(turn.speaker, turn.speaker)}:\n{turn.text}" for turn in turns)
