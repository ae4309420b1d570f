"""Reads what endpoints send in the form of chat completions: answers, and the chunks of streams.

This is the endpoint's own JSON, before litellm fills in what an endpoint left out (indexes, finish
reasons, counts of tokens) or stumbles over what it did not expect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from convtui.errors import EndpointError
from convtui.models.base import Delta, Usage
from convtui.models.parts import message_delta

Warn = Callable[[str, str], None]
Cost = Callable[[str | None, Mapping[str, Any], Usage], float | None]
"""US dollars for a usage object of the endpoint: the model that answered, the object, its figures.
"""

_FINISH: Final = {
    **dict.fromkeys(("eos", "eos_token", "end_turn", "stop_sequence", "stop_token"), "stop"),
    **dict.fromkeys(("max_tokens", "model_length", "max_output_tokens"), "length"),
    **dict.fromkeys(("tool_use", "tool_call"), "tool_calls"),
    **dict.fromkeys(("content_filtered", "safety", "sensitive"), "content_filter"),
}


def error_in(data: Mapping[str, Any]) -> Any:
    """The error object of an answer or a chunk, or None."""
    return data.get("error") or (data if data.get("object") == "error" else None)


class ChatReader:
    """Turns answers, or the chunks of one stream, into deltas.

    Of several choices the first is the reply. `cost` says what a usage object costs, `warn` gets
    warnings.
    """

    def __init__(self, cost: Cost, warn: Warn | None = None) -> None:
        self._cost = cost
        self._warn = warn
        self._choice: Any = None
        self._tool_calls = False
        self._model: str | None = None
        self._id: str | None = None

    def delta(self, data: Mapping[str, Any]) -> Delta:
        """The delta of one chunk, or of a whole answer. Raises `EndpointError`."""
        error = error_in(data)
        if error:
            raise EndpointError(error)
        delta = Delta()
        choices = data.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, Mapping) and self._is_the_reply(choice):
                delta = self._with_choice(delta, choice)
        model, answer_id = data.get("model"), data.get("id")
        if isinstance(model, str) and model and self._model is None:
            self._model = model
            delta = replace(delta, model=model)
        if answer_id and self._id is None:
            self._id = str(answer_id)
            delta = replace(delta, response_id=self._id)
        return replace(delta, usage=self._usage(data.get("usage")))

    def _is_the_reply(self, choice: Mapping[str, Any]) -> bool:
        index = choice.get("index")
        if self._choice is None:
            self._choice = (index,)
        if self._choice == (index,):
            return True
        if self._warn is not None:
            self._warn("other_choices", "the endpoint sent several choices: the first is the reply")
        return False

    def _with_choice(self, delta: Delta, choice: Mapping[str, Any]) -> Delta:
        message = choice.get("delta")
        if message is None:
            message = choice.get("message")
        if not isinstance(message, Mapping):
            message = {"content": message if message is not None else choice.get("text")}
        news = message_delta(message, legacy_call=not self._tool_calls)
        self._tool_calls = self._tool_calls or bool(message.get("tool_calls"))
        sent = str(choice.get("finish_reason") or "")
        finish = _FINISH.get(sent.lower(), sent)
        if finish == "error":
            raise EndpointError({"message": "the endpoint ended its reply with an error"})
        return replace(
            delta,
            text=delta.text + news.text,
            reasoning=delta.reasoning + news.reasoning,
            tool_calls=delta.tool_calls + news.tool_calls,
            finish_reason=finish or delta.finish_reason,
            metadata={"finish_reason_sent": sent} if finish != sent else delta.metadata,
            refused=delta.refused or news.refused,
            parts=delta.parts + news.parts,
        )

    def _usage(self, sent: Any) -> Usage | None:
        usage = usage_of(sent)
        if usage is None or usage.cost is not None:
            return usage
        return usage.model_copy(update={"cost": self._cost(self._model, sent, usage)})


def usage_of(sent: Any) -> Usage | None:
    """The usage object of an endpoint, in either of the two usual vocabularies.

    Only what the endpoint says: a total that it leaves out stays unknown. None where it says
    nothing that could be a figure.
    """
    if not isinstance(sent, Mapping):
        return None
    out = _details(sent, "completion_tokens_details", "output_tokens_details")
    into = _details(sent, "prompt_tokens_details", "input_tokens_details")
    usage = Usage(
        prompt_tokens=_known(sent, "prompt_tokens", "input_tokens"),
        completion_tokens=_known(sent, "completion_tokens", "output_tokens"),
        total_tokens=sent.get("total_tokens"),
        reasoning_tokens=_known({**sent, **out}, "reasoning_tokens", "thinking_tokens"),
        cached_tokens=_known(
            {**sent, **into}, "cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens"
        ),
        cost=sent.get("cost"),
    )
    return None if usage == Usage() else usage


def _details(sent: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    return next((details for name in names if isinstance(details := sent.get(name), Mapping)), {})


def _known(sent: Mapping[str, Any], *names: str) -> Any:
    return next((sent[name] for name in names if sent.get(name) is not None), None)
