"""Runs recorded raw replies through a provider's hooks again, and reports what differs.

No model is called and no log is written. The recorded and the new results come out of the same
pipeline with the same rules, so that only the hooks can make a difference.
"""

from __future__ import annotations

import json
import mmap
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from convtui.engine.core.sides import CheckedHooks
from convtui.engine.turn.pipeline import Hooks, PlainHooks, Rules, pipeline
from convtui.errors import ConvtuiError, HookError
from convtui.log.replies import RecordedReplies, RecordedReply, read_replies
from convtui.protocol import REHOOK_CURSOR, RehookSpec, describe_error
from convtui.providers.base import Provider, SignalMatch
from convtui.providers.vera.adapter import VeraProvider
from convtui.records.interim import Interim
from convtui.records.models import Termination
from convtui.scenario.scenario import Scenario
from convtui.text.causes import describe
from convtui.text.tracebacks import own_frames

_CURSOR: Final = struct.Struct(REHOOK_CURSOR)
_PLAIN: Final = frozenset({str, list, tuple, bool, int, type(None)})


@dataclass(slots=True)
class Result:
    """The result of all stages for one raw reply."""

    matches: list[SignalMatch] = field(default_factory=list)
    text: str = ""
    discard: bool = False
    outcome: str = ""
    """`commit`, `end`, `retry` or `skip`; empty when a hook failed."""
    termination: Termination | None = None
    error: HookError | None = None

    def as_dict(self) -> dict[str, Any]:
        """The result as it is sent to the client."""
        return {
            "signals": [match.as_dict() for match in self.matches],
            "text": self.text,
            "discarded": self.discard,
            "outcome": self.outcome,
            "ends": self.termination.kind if self.termination else None,
        }


class RecordedHooks(PlainHooks):
    """Hooks that return the recorded results."""

    def __init__(self, reply: RecordedReply) -> None:
        super().__init__()
        self._reply = reply

    def extract_signals(self, raw: str) -> list[SignalMatch]:
        return [SignalMatch.of(match) for match in self._reply.matches or ()]

    def post_process(self, raw: str) -> str:
        return raw if self._reply.text is None else self._reply.text

    def should_discard(self, matches: Sequence[SignalMatch]) -> bool:
        return self._reply.discard


class ReplayedHooks(CheckedHooks):
    """A provider's hooks, with the recorded metadata of the reply set on the provider."""

    def __init__(self, provider: Provider) -> None:
        super().__init__(provider)
        self._holder: Any = provider.client if isinstance(provider, VeraProvider) else provider
        self.recorded: dict[str, Any] = {}
        self._left = False
        """Whether the provider still holds the metadata of a reply."""

    def owner(self, hook: str) -> str:
        """Empty: not needed here."""
        return ""

    def metadata(self) -> dict[str, Any]:
        """Empty: the log already has them."""
        return {}

    def _run(  # type: ignore[override] # called on instances only
        self, hook: str, function: Callable[..., Any], *arguments: Any
    ) -> Any:
        if self.recorded or self._left:
            self._remember()
        try:
            result = function(*arguments)
            # Plain values cannot be awaitable and need no further check.
            return result if type(result) in _PLAIN else super()._run(hook, lambda: result)
        except HookError:
            raise
        except BaseException as error:  # KeyboardInterrupt, GeneratorExit and the like
            raise HookError(
                f"{hook}() failed: {describe(error)}", hook=hook, frames=own_frames(error)
            ) from error

    def _remember(self) -> None:
        self._left = bool(self.recorded)
        for name in ("last_response_metadata", "_last_response_metadata"):
            try:
                setattr(self._holder, name, dict(self.recorded))
            except Exception:  # noqa: BLE001 - a property of the developer's; try the other name
                continue
            return


def drive(raw: str, hooks: Hooks, rules: Rules, interim: Sequence[Interim] = ()) -> Result:
    """Takes a raw reply through all stages without holds."""
    result = Result()
    stages = pipeline(raw, hooks, rules, interim)
    draft = next(stages)
    while True:
        if draft.error is not None:
            result.error = draft.error
            return result
        if draft.stage == "signals":
            result.matches = draft.matches
        elif draft.stage == "post_process":
            result.text = raw if draft.text is None else draft.text
        elif draft.stage == "discard":
            result.discard = bool(draft.discard)
        try:
            draft = stages.send(draft)
        except StopIteration as stop:
            result.outcome = stop.value.result
            result.termination = stop.value.termination
            return result


class Rehook:
    """Runs a provider's hooks over logs, one after the other."""

    def __init__(self, spec: RehookSpec, provider: Provider) -> None:
        self._spec = spec
        self._hooks = ReplayedHooks(provider)
        self._failed = {(item["log"], item["reply"]): item["error"] for item in spec.failed}

    def logs(self) -> Iterator[dict[str, Any]]:
        """The result for each log; see `protocol.Kind.REHOOKED`."""
        with open(self._spec.cursor, "r+b") as file, mmap.mmap(file.fileno(), 0) as cursor:  # noqa: PTH123
            for index in range(self._spec.first, len(self._spec.logs)):
                # The position of this process, for a client that sees it die or hang in a hook.
                _CURSOR.pack_into(cursor, 0, index, -1)
                yield {"log": index, **self._one(index, cursor)}
            _CURSOR.pack_into(cursor, 0, -1, -1)

    def _one(self, index: int, cursor: mmap.mmap) -> dict[str, Any]:
        path = Path(self._spec.logs[index])
        try:
            recorded = read_replies(path, self._spec.until[index] if self._spec.until else None)
            wanted = _matching(path, self._spec.only)
            of_reply = rules_of(recorded)
        except ConvtuiError as error:
            return {"error": str(error)}
        turns: list[list[int]] = []
        changed: list[dict[str, Any]] = []
        diverged: dict[int, list[int]] = {}
        """By session: the record of the first other outcome, and what is counterfactual for it."""
        seeded = by_hand = 0
        ends: dict[int, list[int | None]] = {}
        for number, reply in enumerate(recorded.replies):
            if reply.seeded:
                seeded += 1
                continue
            _CURSOR.pack_into(cursor, 0, index, number)
            difference, end = self._reply(
                reply,
                of_reply(reply),
                self._failed.get((index, number)),
                reply.interim if recorded.knows_interim else (),
            )
            after = reply.session in diverged
            shown = wanted is None or (reply.session, reply.turn) in wanted
            for side, ended in enumerate(end):
                if ended:
                    pair = ends.setdefault(reply.session, [None, None])
                    pair[side] = reply.turn if pair[side] is None else pair[side]
            if shown:
                turns.append([reply.session, reply.turn, reply.attempt])
                if after:
                    diverged[reply.session][1] += 1
                by_hand += bool(reply.by_hand or reply.supplied)
            if difference is None:
                continue
            if difference.pop("diverges"):
                diverged.setdefault(reply.session, [reply.finished, 0])
            if shown:
                changed.append({**difference, "counterfactual": after})
        return {
            "id": str(recorded.header.get("id", "")),
            "persona": str(recorded.header.get("persona", "")),
            "turns": turns,
            "changed": changed,
            "counterfactual": sum(count for _, count in diverged.values()),
            "diverged": [[session, *first] for session, first in diverged.items()],
            "seeded": seeded,
            "by_hand": by_hand,
            "damaged": recorded.damaged,
            "incomplete": [
                [reply.session, reply.turn, reply.attempt, reply.incomplete]
                for reply in recorded.replies
                if reply.incomplete
                and not reply.seeded
                and (wanted is None or (reply.session, reply.turn) in wanted)
            ],
            "endings": [
                {"session": session, "before": before, "after": after}
                for session, (before, after) in sorted(ends.items())
                if before != after
            ],
        }

    def _reply(
        self,
        reply: RecordedReply,
        rules: Rules,
        failed: dict[str, Any] | None,
        interim: Sequence[Interim],
    ) -> tuple[dict[str, Any] | None, tuple[bool, bool]]:
        """What differs in one reply, or None; and whether the session ended there, then and now."""
        if failed is not None:
            after, error = Result(), failed
        else:
            self._hooks.recorded = reply.metadata
            after = drive(reply.raw, self._hooks, rules, interim)
            error = {} if after.error is None else describe_error(after.error)
        if not error and _as_recorded(reply, after):
            ended = after.termination is not None
            return None, (ended, ended)
        before = drive(reply.raw, RecordedHooks(reply), rules)
        if reply.hook_failed:
            before = Result()
        elif reply.matches is None:
            # The log does not have the matches, only the outcome.
            before.matches = after.matches
            before.discard = reply.discard
            before.outcome = "commit"
            before.termination = None if reply.discard else after.termination
        kinds: list[str] = []
        if error:
            kinds.append("error")
        if reply.hook_failed and not error:
            kinds.append("mended")
        if not error and not reply.hook_failed:
            kinds += _kinds(reply, before, after)
        ends = (before.termination is not None, after.termination is not None)
        if not kinds or (error and reply.hook_failed):
            # A hook that failed then and still fails has not changed.
            return None, ends
        texts = [None if result.discard else result.text for result in (before, after)]
        diverges = (
            bool({"error", "mended", "discard", "ending"} & set(kinds)) or texts[0] != texts[1]
        )
        return {
            "session": reply.session,
            "turn": reply.turn,
            "attempt": reply.attempt,
            "kinds": kinds,
            "raw": reply.raw,
            "by_hand": list(reply.by_hand),
            "before": None if reply.hook_failed else before.as_dict(),
            "after": None if error else after.as_dict(),
            "error": error or None,
            "diverges": diverges,
        }, ends


def _as_recorded(reply: RecordedReply, after: Result) -> bool:
    """Whether every hook gave its recorded result."""
    return (
        not reply.hook_failed
        and after.text == reply.text
        and after.discard == reply.discard
        and reply.matches is not None
        and after.matches == [SignalMatch.of(match) for match in reply.matches]
    )


def _kinds(reply: RecordedReply, before: Result, after: Result) -> list[str]:
    kinds = []
    if reply.text is not None and before.text != after.text:
        kinds.append("text")
    if before.matches != after.matches:
        kinds.append("signals")
    if before.discard != after.discard:
        kinds.append("discard")
    ends = [None if result.termination is None else result.termination.kind for result in
            (before, after)]  # fmt: skip
    if ends[0] != ends[1]:
        kinds.append("ending")
    return kinds


@lru_cache(maxsize=64)
def _policy(parts: str) -> Scenario:
    """A recorded scenario's rules for replies. Logs in one folder have few different ones."""
    return Scenario.from_public(json.loads(parts))


def rules_of(replies: RecordedReplies) -> Callable[[RecordedReply], Rules]:
    """The rules of a log's scenario, with the counters as they were when a reply was dropped."""
    recorded = replies.header.get("scenario")
    parts = {
        key: recorded[key]
        for key in ("on_signal", "on_discard", "interim")
        if isinstance(recorded, dict) and key in recorded
    }
    scenario = _policy(json.dumps(parts))
    on_discard = scenario.on_discard

    def rules(reply: RecordedReply) -> Rules:
        used_up = reply.after_discard == "end"
        return Rules(
            speaker="provider",
            on_signal=scenario.on_signal,
            on_discard=on_discard.action,
            retries_left=0 if used_up else max(0, on_discard.retries - (reply.attempt - 1)),
            skips_left=0 if used_up else 1,
            at_turn=reply.turn,
            says_interim=scenario.interim == "say",
        )

    return rules


def _matching(path: Path, only: str) -> set[tuple[int, int]] | None:
    """The turns of a log that a filter matches; None for all. Raises `ConvtuiError`."""
    if not only:
        return None
    from convtui.filters.filter import decide, parse
    from convtui.log.filter_lookup import LogLookup
    from convtui.log.reader import open_log

    expression = parse(only)
    with open_log(path) as log:
        about_run = expression.on_header(log.transcript)
        if about_run is False:
            return set()
        lookup = LogLookup(log) if expression.needs_raw else None
        return {
            (turn.session, turn.number)
            for turn in log.transcript.turns
            if decide(expression.on_turn(turn, log.transcript, lookup))
        }
