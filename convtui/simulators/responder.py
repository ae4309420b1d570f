"""A user that decides: after each provider message it replies, stops or abstains.

The model gets a brief once and is then asked, message by message, to call exactly one of three
tools. What counts as a decision is in `decisions`; this module holds the session.
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

    It has a session of its own: the brief (`instructions`) is sent once, with the first question;
    every exchange whose answer was committed stays in it, and if something else was committed the
    next question says so. The session is in the log, and `restore()` brings it back.
    `max_followups` caps the replies; at the cap it is asked once more for the record
    (`Asked.for_record`).

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
        """Follow-ups that were committed."""
        self._client = client
        self._opening = opening
        self._decide_with = decide_with
        self._refused = False
        """Whether the endpoint refused tools."""
        self._messages: list[Message] = []
        """The session so far: questions whose answers were committed, with those answers."""
        self._open: tuple[int, int, list[Message], str] | None = None
        """The last exchange (session, turn, messages, answer), until its answer is committed."""
        self._heard: tuple[int, int] = (0, 0)
        """Session and number of the last turn that the session includes."""
        self._answered = ""
        self._overruled = False
        """Whether its last decision was to end, and was overridden."""
        self._spare: tuple[list[Message], str] | None = None
        """Its reply at the cap, which is not said, with the session as it would then be."""
        self._promised: tuple[list[Message], str] | None = None
        """The same, once it is to be said after an override."""
        self.calls = 0

    @classmethod
    def of(cls, persona: ResponderKeys, casting: Casting) -> Self:
        """Uses the model of the brief, else the persona's.

        Raises `UserSimulatorError` without a brief or a model.
        """
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

    # --- requests
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
        messages = self._request_messages(view)
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
        """If the endpoint refuses tools, the same question can be answered with JSON."""
        if (
            self._decide_with != "auto"
            or self._refused
            or not isinstance(error, BadModelRequest | ContextTooLong)
        ):
            return None
        message = str(error).casefold()
        if "tool" not in message and "function" not in message:
            return None
        self._refused = True
        return "the endpoint refuses tools: decisions are asked for as JSON from here on"

    def _request_messages(self, view: View) -> list[Message]:
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
        """Whether the last answer, as it was, is the only turn since."""
        texts = [turn.text for turn in between]
        return [turn.speaker for turn in between] == ["persona"] and texts == [self._answered]

    def _settle(self, view: View) -> None:
        """Keeps the last exchange if its turn was committed, else forgets it."""
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
        """Say, stop, abstain, or `Undecided`; at the cap always `CapExhausted`."""
        decision = self._classified(reply)
        if self.sent >= self.max_followups:
            answer = _answer(decision)
            messages = [*self._request_messages(view), *decision_messages(reply)]
            self._spare = (messages, answer) if decision.kind == "reply" else None
            return CapExhausted(used_up(self.max_followups), decision=decision)
        if decision.kind == "error":
            return Undecided(decision.reason or "", decision=decision)
        answer = _answer(decision)
        self.expect(view, [*self._request_messages(view), *decision_messages(reply)], answer)
        if decision.kind == "reply":
            return Say(str((decision.arguments or {}).get("answer", "")), decision=decision)
        if decision.kind == "abstain":
            return Abstain(decision.reason or "", decision=decision)
        return Stop("the responder has what it came for", decision=decision)

    def post_process_response(self, text: str) -> str:
        """The text without reasoning."""
        return without_reasoning(text)

    def expect(self, view: View, messages: list[Message], answer: str) -> None:
        """Sets what the session becomes if the turn in progress is committed."""
        self._open = (view.session, view.turn, messages, answer)

    def _classified(self, reply: Reply) -> Decision:
        return classify(reply, as_json=self._as_json)

    # --- by hand

    def edit_brief(self, instructions: str) -> str:
        """Replaces the instructions; returns the old ones. Raises `UserSimulatorError` if blank."""
        if not instructions.strip():
            raise UserSimulatorError("responder.instructions is required")
        before, self.instructions = self.instructions, instructions
        self.brief_edited = True
        self._retell(before)
        return before

    def _retell(self, before: str) -> None:
        """Replaces the brief `before` with the current one in the first question of the session."""
        if self._messages:
            first = dict(self._messages[0])
            first["content"] = str(first["content"]).replace(before, self.instructions, 1)
            self._messages[0] = first

    def overrule(self) -> None:
        """Overrides the end that it decided on, or that the cap caused.

        At the cap there is one more follow-up: its recorded reply is said. If it decided to stop
        or abstain it is asked again, and told so.
        """
        if self.sent >= self.max_followups:
            self.max_followups += 1
            self._promised, self._spare = self._spare, None
        self._overruled = self._promised is None

    # --- going back and closing

    def restore(self, memory: Mapping[str, Any]) -> None:
        """Restores a session: `{messages, sent, heard: [session, turn], answered, briefs}`.

        `briefs` has the brief `in_force` and the `scenario`'s original. Raises
        `UserSimulatorError` for a damaged session.
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
        brief = str(briefs.get("in_force") or self.instructions)
        if briefs.get("scenario") == self.instructions:
            # The scenario's brief is unchanged: one that was edited by hand stays in force.
            self.brief_edited = brief != self.instructions
            self.instructions = brief
        elif brief != self.instructions:
            self.brief_edited = True
            self._retell(brief)

    async def close(self) -> int | None:
        """Ends the session; the next question begins another. Idempotent."""
        calls, self.calls = self.calls, 0
        self._messages, self._open = [], None
        self._answered, self._heard, self.sent = "", (0, 0), 0
        return calls or None

    async def cleanup(self) -> None:
        await self.close()


def _answer(decision: Decision) -> str:
    """The answer of a decision, without reasoning."""
    return without_reasoning(str((decision.arguments or {}).get("answer", "")))


def used_up(followups: int) -> str:
    """The reason for the end after this many follow-ups."""
    return (
        "the only follow-up is used up"
        if followups == 1
        else (f"all {followups} follow-ups are used up")
    )


def _lines(turns: Sequence[HistoryTurn]) -> str:
    names = {"persona": "The user said", "provider": "The assistant said"}
    return "\n\n".join(f"{names.get(turn.speaker, turn.speaker)}:\n{turn.text}" for turn in turns)
