"""What a run of a model was given, and what it answered, in any of the ways of writing it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from convtui.log.formats.chat.blocks import messages_of
from convtui.log.formats.chat.items import has_items, messages_of_items
from convtui.log.formats.chat.messages import Message, plain
from convtui.log.formats.chat.requests import Exchange
from convtui.records.times import parse_time
from convtui.records.values import as_list, as_object, as_text, drop_none

_ROLES: Final = {"human": "user", "ai": "assistant", "aimessagechunk": "assistant",
                 "chat": "user", "developer": "system"}  # fmt: skip
_GIVEN: Final = ("messages", "input", "prompts", "prompt")
_MODELS: Final = ("ls_model_name", "model", "model_name")


def is_flat(run: Mapping[str, Any]) -> bool:
    """Whether a run says what it was given as texts alone, with all roles in them."""
    inputs = as_object(run.get("inputs"))
    prompts = as_list(inputs.get("prompts"))
    return "messages" not in inputs and all(isinstance(text, str) for text in prompts)


def has_messages(run: Mapping[str, Any]) -> bool:
    """Whether a run says what it was given or answered as messages."""
    return any(as_list(as_object(run.get(end)).get("messages")) for end in ("inputs", "outputs"))


def exchange_of(run: Mapping[str, Any]) -> Exchange | None:
    """What a run was given and answered; None where it says neither."""
    inputs, outputs = as_object(run.get("inputs")), as_object(run.get("outputs"))
    given, answer = list(_given(inputs)), list(_answer(outputs))
    if outputs.get("messages"):
        # All that was said by then, or what is new of it; what was given may be the new part.
        head, answer = _parted(answer)
        given = head if len(head) > len(given) else given
    if run.get("error") and not answer:
        error = {"error": plain(run["error"]), "name": run.get("name")}
        answer = [Message("", "", "error", event="error", content=error)]
    if not given and not answer:
        return None
    extra = as_object(run.get("extra"))
    metadata, parameters = (
        as_object(extra.get("metadata")),
        as_object(extra.get("invocation_params")),
    )
    model = next((as_text(at[name]) for at in (metadata, parameters) for name in _MODELS
                  if at.get(name)), "")  # fmt: skip
    replies = [message for message in answer if message.role == "assistant"]
    for message in replies:
        message.model = message.model or model or None
    if len(replies) == 1:
        replies[0].usage = replies[0].usage or _usage(outputs, metadata, run)
        began, ended = (parse_time(as_text(run.get(f"{end}_time"))) for end in ("start", "end"))
        _place(replies[0], began, ended)
    return Exchange(given, answer, model or next((one.model for one in replies if one.model), ""))


def _place(message: Message, began: datetime | None, ended: datetime | None) -> None:
    if ended is not None:
        message.at = ended.timestamp()
        if began is not None:
            message.duration = max(0.0, (ended - began).total_seconds())


def _parted(said: list[Message]) -> tuple[list[Message], list[Message]]:
    """What was said up to the last word of the user, and what came after it."""
    after = max((n for n, message in enumerate(said, 1) if message.role == "user"), default=0)
    return said[:after], said[after:]


def _given(inputs: Mapping[str, Any]) -> Iterator[Message]:
    if as_text(inputs.get("instructions")):
        yield Message("system", inputs["instructions"], "inputs.instructions")
    named = next((inputs[name] for name in _GIVEN if name in inputs), None)
    if named is None:
        # A function of its own words: what it was asked is the one text among its arguments.
        texts = [value for value in inputs.values() if isinstance(value, str)]
        named = texts[0] if len(texts) == 1 else None
    if isinstance(named, str):
        yield Message("user", named, "inputs")
        return
    listed = as_list(named)
    if listed and isinstance(listed[0], list):
        # One list for each prompt of a batch: all but the first are other conversations.
        listed = listed[0]
    yield from _listed(listed, "inputs.messages", "user")


def _answer(outputs: Mapping[str, Any]) -> Iterator[Message]:
    generations = as_list(outputs.get("generations"))
    first = generations[0] if generations else None
    first = first[0] if isinstance(first, list) and first else first
    if isinstance(first, Mapping):
        message = first.get("message")
        said = (
            message if message is not None else {"role": "assistant", "content": first.get("text")}
        )
        yield from _message(said, "outputs.generations")
        return
    choices = as_list(outputs.get("choices"))
    if choices:
        choice = as_object(choices[0])
        for message in _message(choice.get("message"), "outputs.choices"):
            message.finish = as_text(choice.get("finish_reason")) or None
            yield message
        return
    if outputs.get("role") == "assistant" and "content" in outputs:
        yield from _message(outputs, "outputs")
        return
    said = next(
        (outputs[name] for name in ("messages", "output", "message") if outputs.get(name)), None
    )
    yield from _listed(said if isinstance(said, list) else [said], "outputs", "assistant")


def _listed(given: list[Any], address: str, speaker: str) -> Iterator[Message]:
    """Messages or items; a text is what `speaker` has said."""
    if has_items(given):
        yield from messages_of_items(given, address)
        return
    for index, item in enumerate(given):
        if item is not None:
            said = {"role": speaker, "content": item} if isinstance(item, str) else item
            yield from _message(said, f"{address}[{index}]")


def _message(item: Any, address: str) -> Iterator[Message]:
    """A message as LangChain serialises it, as OpenAI has it, or with a type for a role."""
    data = as_object(item)
    kwargs = as_object(data.get("kwargs")) or as_object(data.get("data"))
    if kwargs:
        ids = as_list(data.get("id"))
        named = as_text(ids[-1]).removesuffix("Message").removesuffix("MessageChunk") if ids else ""
        data = {**kwargs, "type": named or data.get("type")}
    kind = as_text(data.get("role")) or as_text(data.get("type"))
    role = _ROLES.get(kind.lower().removesuffix("message"), kind.lower().removesuffix("message"))
    calls = as_list(data.get("tool_calls")) or as_list(
        as_object(data.get("additional_kwargs")).get("tool_calls")
    )
    fields = {"role": role, "content": data.get("content"),
              "tool_call_id": data.get("tool_call_id"),
              "name": data.get("name") if role == "tool" else None}  # fmt: skip
    about = as_object(data.get("response_metadata"))
    for message in messages_of(drop_none(fields), address):
        if message.role == "assistant":
            known = {as_text(call.get("id")) for call in message.calls}
            made = [_call(as_object(call)) for call in calls]
            message.calls += [call for call in made if as_text(call.get("id")) not in known]
            message.usage = _figures(as_object(data.get("usage_metadata")))
            message.model = next((about[n] for n in _MODELS if as_text(about.get(n))), None)
            message.finish = as_text(about.get("finish_reason")) or None
        elif message.role == "tool":
            message.failed = message.failed or data.get("status") == "error"
        yield message


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(call.get("function"), Mapping):
        return dict(call)
    function = {"name": call.get("name"), "arguments": call.get("args")}
    return {"id": call.get("id"), "type": "function", "function": function}


def _usage(
    outputs: Mapping[str, Any], metadata: Mapping[str, Any], run: Mapping[str, Any]
) -> dict[str, Any] | None:
    places = (
        outputs.get("usage_metadata"), outputs.get("usage"), metadata.get("usage_metadata"),
        as_object(outputs.get("llm_output")).get("token_usage"), run,
    )  # fmt: skip
    return next((figures for at in places if (figures := _figures(as_object(at)))), None)


def _figures(used: Mapping[str, Any]) -> dict[str, Any] | None:
    asked = as_object(used.get("input_token_details") or used.get("prompt_tokens_details"))
    said = as_object(used.get("output_token_details") or used.get("completion_tokens_details"))
    known = {
        "prompt_tokens": used.get("prompt_tokens", used.get("input_tokens")),
        "completion_tokens": used.get("completion_tokens", used.get("output_tokens")),
        "cached_tokens": asked.get("cache_read", asked.get("cached_tokens")),
        "reasoning_tokens": said.get("reasoning", said.get("reasoning_tokens")),
    }
    return {n: v for n, v in known.items() if isinstance(v, int) and v >= 0} or None
