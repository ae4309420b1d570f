"""A model that plays the persona."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Self

from convtui.errors import UserSimulatorError
from convtui.log.requests import shared_start
from convtui.models.base import Message, ModelClient, Reply
from convtui.models.handed_out import HandedOut
from convtui.providers.base import HistoryTurn, SignalMatch, thought_signals
from convtui.scenario.simulators.llm import LlmKeys
from convtui.simulators.base import (
    Asked,
    Casting,
    EndConversation,
    Say,
    UserAction,
    UserSimulator,
    View,
)
from convtui.text_checks.reasoning import without_reasoning

DEFAULT_TEMPLATE = """\
You play the user in a conversation with an assistant. Stay in character the whole time.

Who you are:
{persona}

What you want:
{task}

Write only what this person would type next: no name in front, no stage directions. Keep it short.
Never help the assistant or take its part. When you have what you want, or it is clear that you
will not get it, write {sentinel}."""

_FIELDS = re.compile(r"\{(persona|task|sentinel)\}")


class LlmSimulator(UserSimulator):
    """Asks a model what the persona says next.

    The roles are swapped: the persona's own turns are the assistant's, the provider's are the
    user's. `lead` are utterances that come first, in order, and `fixed` maps turn numbers to
    utterances; neither calls the model. Raises `UserSimulatorError` for an empty sentinel.
    """

    def __init__(
        self,
        name: str,
        client: ModelClient,
        *,
        prompt: str = "",
        task: str = "",
        template: str | None = None,
        opening: str | None = None,
        lead: Sequence[str] = (),
        fixed: Mapping[int, str] | None = None,
        end_sentinel: str = "<end>",
        sentinel_keeps_text: bool = False,
        global_signal: str = "",
        reminder: str | None = None,
    ) -> None:
        if not end_sentinel.strip():
            raise UserSimulatorError("an empty end sentinel would match everything")
        self.name = name
        self._client = client
        opening = task if opening == "task" and task else opening
        self._lead = [opening, *lead] if opening is not None else list(lead)
        self._fixed = dict(fixed or {})
        self._keeps_text = sentinel_keeps_text
        self._reminder = reminder
        # If both are the same string the global rule wins: the turn is committed, then ends.
        same = end_sentinel.casefold() == global_signal.casefold()
        self._sentinel = None if same else re.compile(re.escape(end_sentinel), re.IGNORECASE)
        self.end_sentinel = "" if same else end_sentinel
        self._system = self.render(template or DEFAULT_TEMPLATE, prompt, task, end_sentinel)
        self._turns: list[HistoryTurn] = []
        self._messages: list[Message] = []
        self._handed_out = HandedOut()

    @classmethod
    def of(cls, persona: LlmKeys, casting: Casting) -> Self:
        """Raises `UserSimulatorError` for a persona without a model."""
        if not persona.model:
            raise UserSimulatorError(
                f"persona {persona.name} needs a model: `model:` in the persona, or --user-model"
            )
        return cls(
            persona.name,
            casting.models.client(persona.model, persona.params),
            prompt=persona.prompt or persona.name,
            task=persona.task,
            template=persona.template,
            opening=persona.opening,
            lead=persona.script if isinstance(persona.script, list) else (),
            fixed=persona.script if isinstance(persona.script, dict) else None,
            end_sentinel=persona.end_sentinel,
            sentinel_keeps_text=persona.sentinel_keeps_text,
            global_signal=casting.global_signal,
            reminder=persona.reminder,
        )

    @staticmethod
    def render(template: str, persona: str, task: str, sentinel: str) -> str:
        """The system prompt: each field is replaced once, and values are not expanded again."""
        values = {"persona": persona, "task": task or "(see above)", "sentinel": sentinel}
        return _FIELDS.sub(lambda match: values[match[1]], template)

    def ask(self, view: View) -> Asked:
        """A fixed utterance, else the model's next line."""
        fixed = self._fixed.get(view.turn)
        if fixed is not None:
            return Asked(say=Say(fixed))
        position = view.count_of("persona")
        if position < len(self._lead):
            return Asked(say=Say(self._lead[position]))
        messages = self.messages(view)
        return Asked(
            messages=messages,
            params=dict(self._client.params),
            model=self._client.model,
            open=lambda: self._client.stream(
                self._handed_out.copies(messages), params=self.overlay
            ),
        )

    def messages(self, view: View) -> list[Message]:
        """Exactly the messages that the model is sent."""
        messages: list[Message] = [{"role": "system", "content": self._system}]
        if not view.turns or view.turns[0].speaker == "persona":
            messages.append({"role": "user", "content": view.start_prompt or "Begin."})
        messages += self._said(view.turns)
        if self._reminder and view.turns and view.turns[-1].speaker == "provider":
            last = messages[-1]
            messages[-1] = {**last, "content": f"{self._reminder}\n\n{last['content']}"}
        return messages

    def _said(self, turns: Sequence[HistoryTurn]) -> list[Message]:
        """The turns as messages, of which those that were there before are the same objects."""
        keep = shared_start(self._turns, turns)
        del self._turns[keep:], self._messages[keep:]
        for turn in turns[keep:]:
            role = "assistant" if turn.speaker == "persona" else "user"
            self._turns.append(turn)
            self._messages.append({"role": role, "content": turn.text})
        return self._messages

    def interpret(self, reply: Reply, view: View) -> UserAction:
        """Say it, or end at a sentinel; the text around the sentinel is recorded.

        A sentinel in the reasoning ends nothing.
        """
        text = without_reasoning(reply.text)
        match = self._sentinel.search(text) if self._sentinel is not None else None
        if match is None:
            return Say(reply.text)
        rest = self._without_sentinel(text)
        end = EndConversation(
            "the persona is done", dropped_text="" if self._keeps_text else rest, sentinel=match[0]
        )
        return Say(reply.text, then=end) if self._keeps_text and rest else end

    def extract_signals(self, raw: str) -> list[SignalMatch]:
        """The persona's own signals, and sentinels in its reasoning."""
        return super().extract_signals(raw) + thought_signals(raw, self.end_sentinel)

    def post_process_response(self, text: str) -> str:
        """The text without reasoning and sentinel."""
        text = without_reasoning(text)
        if self._sentinel is not None and self._sentinel.search(text):
            return self._without_sentinel(text)
        return text

    def _without_sentinel(self, text: str) -> str:
        assert self._sentinel is not None
        return self._sentinel.sub("", text).strip()
