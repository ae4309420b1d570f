"""Answers from a log: the replies of a saved run, with their timing, signals and tool calls."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import re
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from convtui.errors import ConvtuiError, ProviderError, ProviderLoadError
from convtui.log.reader import open_log
from convtui.log.replies import RecordedReply, collect_replies
from convtui.log.requests import canonical, rebuild
from convtui.models.base import Delta, Message, ToolCallDelta, Usage
from convtui.providers.base import Provider, Request, SignalMatch
from convtui.records.codec import RecordDict
from convtui.secrets.shapes import REDACTED

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_EXCERPT: Final = 160

Warn = Callable[[str, str, dict[str, Any]], None]
"""Records a warning: its code, its message, its detail."""


class RecordedProvider(Provider):
    """Replays the provider of a log.

    The next reply follows from the history of the request, so that a conversation can be rewound.
    Requests are compared with the recorded ones: a difference is a warning with the code `drift`,
    and with `strict` an error. Nothing that the log names is run: the provider's own tools return
    their recorded results.

    Raises `ProviderLoadError` for a log that cannot be read or has no replies.
    """

    stateful = False

    def __init__(
        self,
        path: Path | str,
        *,
        strict: bool = False,
        speed: float = 1.0,
        system_prompt: str | None = None,
    ) -> None:
        self.path = Path(path)
        self.strict = strict
        self.speed = speed
        self.warn: Warn | None = None
        """Set by the owner of the log."""
        try:
            with open_log(self.path) as log:
                records = list(log.records())
        except ConvtuiError as error:
            raise ProviderLoadError(str(error)) from error
        recorded = collect_replies(records)
        if not recorded.replies:
            raise ProviderLoadError(f"{self.path}: there are no replies of a provider in this log")
        self._by_seq = {
            record["seq"]: record
            for record in records
            if record.get("type") == "llm.request" and isinstance(record.get("seq"), int)
        }
        self._sessions = recorded.sessions
        self._replies: dict[int, list[RecordedReply]] = defaultdict(list)
        for reply in recorded.replies:
            self._replies[reply.session].append(reply)
        self._attempts: dict[tuple[int, int], int] = {}
        self._current: RecordedReply | None = None
        self._warned: set[tuple[int, int]] = set()
        identity = recorded.header.get("provider")
        identity = identity if isinstance(identity, dict) else {}
        self.name = str(identity.get("name") or self.path.stem)
        self.model = next(
            (str(r["model"]) for reply in recorded.replies for r in reply.rounds if r.get("model")),
            None,
        )
        self.system_prompt = "" if system_prompt is not None else self._recorded_prompt(records)
        self._take_lifecycle(records)
        self.tools = _recorded_tools(recorded.header, records)

    # --- the recorded provider

    def _take_lifecycle(self, records: Sequence[RecordDict]) -> None:
        self._prepared: tuple[list[str], list[str]] = ([], [])
        for record in records:
            if record.get("type") == "provider.setup":
                signals = record.get("termination_signals")
                if isinstance(signals, list):
                    kept = {str(signal).casefold(): str(signal) for signal in signals if signal}
                    self.termination_signals = list(kept.values())
            elif record.get("type") == "sessions.prepared":
                requested, prepared = record.get("requested"), record.get("prepared")
                if isinstance(requested, list) and isinstance(prepared, list) and prepared:
                    self._prepared = ([str(n) for n in requested], [str(n) for n in prepared])

    def _recorded_prompt(self, records: Sequence[RecordDict]) -> str:
        """The recorded prompt without a warm template's addendum, which a warm start adds again."""
        prompt = self._first_prompt()
        seeded = next((record for record in records if record.get("type") == "context.seeded"), {})
        added = str(seeded.get("addendum") or "")
        return prompt.removesuffix(added).removesuffix("\n\n") if added else prompt

    def _first_prompt(self) -> str:
        for record in self._by_seq.values():
            if record.get("side") == "provider":
                append = record.get("append")
                first = append[0] if isinstance(append, list) and append else None
                if isinstance(first, dict) and first.get("role") == "system":
                    return str(first.get("content") or "")
                return ""
        return ""

    def prepare_sessions(self, session_types: list[str]) -> list[str]:
        """The sessions that were prepared, if the requested ones are those of the log."""
        requested, prepared = self._prepared
        return list(prepared) if prepared and session_types == requested else session_types

    async def enter_session(self, session_type: str) -> None:
        """Takes the first speaker from the log."""
        for record in self._sessions.values():
            speaker = record.get("first_speaker")
            if record.get("session_type") == session_type and speaker in ("persona", "provider"):
                self.first_speaker = speaker
                return

    # --- answering

    async def respond(self, request: Request) -> AsyncIterator[Delta]:
        """The recorded reply to this request, streamed with its recorded timing.

        Raises `ProviderError` if the log has no such reply, and with `strict` if the messages
        differ from the recorded ones.
        """
        response = self._find(request)
        self._compare(request, response)
        async for delta in self._stream(response):
            yield delta

    def _find(self, request: Request) -> RecordDict:
        address = (request.session, request.turn)
        round_ = _rounds(request.messages)
        reply = self._current
        if round_ == 0 or reply is None:
            again = self._attempts.get(address, 0)
            self._attempts[address] = again + 1
            reply = self._at(request, again)
        self._current = reply
        if round_ >= len(reply.rounds):
            raise self._exhausted(
                request, f"its turn {reply.session}:{reply.turn} has {len(reply.rounds)} replies"
            )
        return reply.rounds[round_]

    def _at(self, request: Request, again: int) -> RecordedReply:
        replies = self._replies.get(request.session, [])
        answered = sum(turn.speaker == "provider" for turn in request.history)
        here = [
            reply
            for index, reply in enumerate(replies)
            if reply.turn == request.turn
            and sum(earlier.outcome == "committed" for earlier in replies[:index]) == answered
        ]
        if here:
            return here[min(again, len(here) - 1)]
        # The turns were numbered differently: the n-th committed reply still is the n-th.
        committed = [reply for reply in replies if reply.outcome == "committed"]
        if answered < len(committed):
            return committed[answered]
        raise self._exhausted(
            request, f"it has {len(committed)} turns of the provider in session {request.session}"
        )

    def _exhausted(self, request: Request, has: str) -> ProviderError:
        return ProviderError(
            f"the record is exhausted at {request.session}:{request.turn}: {self.path.name}: {has}"
        )

    async def _stream(self, response: RecordDict) -> AsyncIterator[Delta]:
        raw = str(response.get("raw") or "")
        clock = 0.0
        if response.get("reasoning"):
            yield Delta(reasoning=str(response["reasoning"]))
        sent = 0
        for at, size in _pieces(response, len(raw)):
            await self._until(at - clock)
            clock = max(clock, at)
            yield Delta(text=raw[sent : sent + size])
            sent += size
        if sent < len(raw):
            yield Delta(text=raw[sent:])
        duration = response.get("duration")
        if isinstance(duration, (int, float)):
            await self._until(duration - clock)
        yield Delta(
            tool_calls=_calls(response),
            finish_reason=response.get("finish_reason"),
            usage=_usage(response.get("usage")),
            response_id=response.get("response_id"),
            model=response.get("model"),
            metadata=response.get("metadata") or None,
            refused=bool(response.get("refused")),
            parts=_parts(response.get("parts")),
        )

    async def _until(self, seconds: float) -> None:
        if self.speed > 0 and seconds > 0:
            await asyncio.sleep(seconds / self.speed)

    # --- hooks: their recorded results, for the recorded reply

    def _is(self, raw: str) -> RecordedReply | None:
        reply = self._current
        return reply if reply is not None and reply.raw == raw else None

    def extract_signals(self, raw: str) -> list[SignalMatch]:
        """The recorded matches; in any other text, the declared signals."""
        reply = self._current
        if reply is None or reply.matches is None:
            return super().extract_signals(raw)
        matches = [SignalMatch.of(match) for match in reply.matches]
        if reply.raw == raw:
            return [match for match in matches if match.round is None]
        for part in reply.interim:
            if part.text == raw:
                return [match for match in matches if match.round == part.round]
        return super().extract_signals(raw)

    def post_process_response(self, text: str) -> str:
        """The recorded text; any other text stays as it is."""
        reply = self._is(text)
        return text if reply is None or reply.text is None else reply.text

    def should_discard_response(self, signals: list[SignalMatch]) -> bool:
        """Whether the recorded reply was dropped."""
        return self._current is not None and self._current.discard

    # --- drift

    def _compare(self, request: Request, response: RecordDict) -> None:
        record = self._by_seq.get(response.get("call"))
        if record is None:
            return
        try:
            recorded = rebuild(record, self._by_seq.__getitem__)
        except (ValueError, LookupError):
            return
        detail = difference(recorded, request.messages)
        if detail is None:
            return
        message = f"drift at {request.session}:{request.turn}: {detail['what']}"
        if self.strict:
            raise ProviderError(f"{message} (recorded:{self.path.name}?strict)")
        position = (request.session, int(detail["first"]))
        # A message that differs is part of every later request, too.
        if position not in self._warned and self.warn is not None:
            self._warned.add(position)
            self.warn("drift", message, {**detail, "log": str(self.path), "call": record["seq"]})


def difference(recorded: Sequence[Any], sent: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The first message that differs, or None: `{what, first, recorded, asked, ...}`.

    Recorded messages with masked text are not compared.
    """
    for index, (then, now) in enumerate(zip(recorded, sent, strict=False)):
        before, after = canonical(then), canonical(now)
        if before != after and REDACTED.encode() not in before:
            role = str(now.get("role", "?"))
            old, new = _content(then), _content(now)
            return {
                "what": f"message {index + 1} ({role}) is not the recorded one:"
                f" {new!r} instead of {old!r}",
                "first": index,
                "recorded": old,
                "asked": new,
                "messages": {"recorded": len(recorded), "asked": len(sent)},
            }
    if len(recorded) != len(sent):
        return {
            "what": f"{len(sent)} messages instead of the {len(recorded)} recorded",
            "first": min(len(recorded), len(sent)),
            "recorded": None,
            "asked": None,
            "messages": {"recorded": len(recorded), "asked": len(sent)},
        }
    return None


def _content(message: Any) -> str:
    content = message.get("content") if isinstance(message, Mapping) else message
    if not isinstance(content, str):
        content = canonical(message).decode()
    return content if len(content) <= _EXCERPT else content[:_EXCERPT] + "…"


def _rounds(messages: Sequence[Message]) -> int:
    """The number of tool rounds so far in this turn: the calls at the end of the messages."""
    count = 0
    for message in reversed(messages):
        if message.get("role") == "tool":
            continue
        if message.get("role") == "assistant" and message.get("tool_calls"):
            count += 1
            continue
        break
    return count


def _pieces(response: RecordDict, size: int) -> list[tuple[float, int]]:
    """The recorded chunks: seconds since the request, number of characters."""
    chunks = response.get("chunks")
    if isinstance(chunks, list) and chunks:
        with contextlib.suppress(TypeError, ValueError):
            return [(float(at), max(0, int(count))) for at, count in chunks]
    first = response.get("ttft")
    return [(float(first) if isinstance(first, (int, float)) else 0.0, size)]


def _calls(response: RecordDict) -> tuple[ToolCallDelta, ...]:
    recorded = response.get("tool_calls")
    calls = []
    for index, call in enumerate(recorded if isinstance(recorded, list) else []):
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            calls.append(
                ToolCallDelta(
                    index=index,
                    id=str(call.get("id") or f"call_{index}"),
                    name=str(function.get("name") or ""),
                    arguments=str(function.get("arguments") or ""),
                )
            )
    return tuple(calls)


def _parts(recorded: Any) -> tuple[dict[str, Any], ...]:
    return tuple(p for p in recorded if isinstance(p, dict)) if isinstance(recorded, list) else ()


def _usage(recorded: Any) -> Usage | None:
    if not isinstance(recorded, dict):
        return None
    with contextlib.suppress(ValueError):
        return Usage.model_validate(recorded)
    return None


def _recorded_tools(header: RecordDict, records: Sequence[RecordDict]) -> list[Callable[..., Any]]:
    """The provider's own tools in a log, as functions that return the recorded results."""
    scenario = header.get("scenario")
    named = scenario.get("tools") if isinstance(scenario, dict) else None
    elsewhere = [str(tool) for tool in named] if isinstance(named, list) else []
    if any("mcp" in tool for tool in elsewhere):
        # Which tools are the server's is known only when it runs.
        return []
    arguments: dict[str, dict[str, None]] = {}
    called: dict[str, bytes] = {}
    answers: dict[str, dict[bytes, deque[RecordDict]]] = {}
    for record in records:
        name = str(record.get("name") or "")
        if record.get("type") == "tool.called" and isinstance(record.get("arguments"), dict):
            arguments.setdefault(name, {}).update(dict.fromkeys(record["arguments"]))
            called[str(record.get("id"))] = canonical(record["arguments"])
        elif record.get("type") == "tool.returned" and str(record.get("id")) in called:
            key = called[str(record["id"])]
            answers.setdefault(name, {}).setdefault(key, deque()).append(record)
    return [
        _tool(name, list(arguments[name]), results)
        for name, results in answers.items()
        if _NAME.fullmatch(name)
        and all(_NAME.fullmatch(argument) for argument in arguments[name])
        and not any(name in tool for tool in elsewhere)
    ]


def _tool(
    name: str, arguments: Sequence[str], answers: dict[bytes, deque[RecordDict]]
) -> Callable[..., Any]:
    def answer(**given: Any) -> Any:
        results = answers.get(canonical(given))
        if not results:
            raise LookupError(f"the record has no call of {name} with these arguments")
        record = results[0]
        if len(results) > 1:
            results.popleft()
        if not record.get("ok"):
            result = record.get("result")
            message = result.get("message") if isinstance(result, dict) else result
            raise RuntimeError(str(message or record.get("error_kind") or "it failed"))
        return record.get("result")

    answer.__name__ = name
    answer.__doc__ = "Answers what is on record."
    answer.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(argument, inspect.Parameter.KEYWORD_ONLY, default=None)
            for argument in arguments
        ]
    )
    return answer
