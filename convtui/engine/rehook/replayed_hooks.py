"""Recorded raw replies through a provider's hooks again: no model, no log, only what differs.

The pipeline is driven bare. What the hooks gave then and what they give now come out of the same
generator with the same rules, so that only the hooks can make a difference.
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
    """What the stages made of one raw reply."""

    matches: list[SignalMatch] = field(default_factory=list)
    text: str = ""
    discard: bool = False
    outcome: str = ""
    """`commit`, `end`, `retry` or `skip`; empty when a hook failed."""
    termination: Termination | None = None
    error: HookError | None = None

    def as_dict(self) -> dict[str, Any]:
        """As it is sent to whoever asked."""
        return {
            "signals": [match.as_dict() for match in self.matches],
            "text": self.text,
            "discarded": self.discard,
            "outcome": self.outcome,
            "ends": self.termination.kind if self.termination else None,
        }


class RecordedHooks(PlainHooks):
    """Hooks that say what is on record."""

    def __init__(self, reply: RecordedReply) -> None:
        super().__init__()
        self._reply = reply

    def extract_signals(self, raw: str) -> list[SignalMatch]:
        """What was found then."""
        return [SignalMatch.of(match) for match in self._reply.matches or ()]

    def post_process(self, raw: str) -> str:
        """The text that was made of it then."""
        return raw if self._reply.text is None else self._reply.text

    def should_discard(self, matches: Sequence[SignalMatch]) -> bool:
        """What was decided then."""
        return self._reply.discard


class ReplayedHooks(CheckedHooks):
    """A provider's hooks, which find what it had said about the reply when it was made."""

    def __init__(self, provider: Provider) -> None:
        super().__init__(provider)
        self._holder: Any = provider.client if isinstance(provider, VeraProvider) else provider
        self.recorded: dict[str, Any] = {}
        self._left = False
        """Whether the metadata of a reply are still there."""

    def owner(self, hook: str) -> str:
        """Nobody asks."""
        return ""

    def metadata(self) -> dict[str, Any]:
        """None: they are the record's own."""
        return {}

    def _run(  # type: ignore[override] # called on instances only
        self, hook: str, function: Callable[..., Any], *arguments: Any
    ) -> Any:
        if self.recorded or self._left:
            self._remember()
        try:
            result = function(*arguments)
            # What cannot be awaited need not be looked at more closely.
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
            except Exception:  # noqa: BLE001 - a property of theirs; the next may do
                continue
            return


def drive(raw: str, hooks: Hooks, rules: Rules, interim: Sequence[Interim] = ()) -> Result:
    """Takes a raw reply through all stages without anybody holding it."""
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
        """What each log shows; see `protocol.Kind.REHOOKED`."""
        with open(self._spec.cursor, "r+b") as file, mmap.mmap(file.fileno(), 0) as cursor:  # noqa: PTH123
            for index in range(self._spec.first, len(self._spec.logs)):
                # Where this process stands, for whoever finds it dead or waiting for a hook.
                _CURSOR.pack_into(cursor, 0, index, -1)
                yield {"log": index, **self._one(index, cursor)}
            _CURSOR.pack_into(cursor, 0, -1, -1)

    def _one(self, index: int, cursor: mmap.mmap) -> dict[str, Any]:
        path = Path(self._spec.logs[index])
        try:
            found = read_replies(path)
            wanted = _matching(path, self._spec.only)
            of_reply = rules_of(found)
        except ConvtuiError as error:
            return {"error": str(error)}
        turns: list[list[int]] = []
        changed: list[dict[str, Any]] = []
        diverged: set[int] = set()
        counterfactual = seeded = by_hand = 0
        ends: dict[int, list[int | None]] = {}
        for number, reply in enumerate(found.replies):
            if reply.seeded:
                seeded += 1
                continue
            _CURSOR.pack_into(cursor, 0, index, number)
            difference, end = self._reply(
                reply,
                of_reply(reply),
                self._failed.get((index, number)),
                reply.interim if found.knows_interim else (),
            )
            after = reply.session in diverged
            shown = wanted is None or (reply.session, reply.turn) in wanted
            for place, ended in enumerate(end):
                if ended:
                    pair = ends.setdefault(reply.session, [None, None])
                    pair[place] = reply.turn if pair[place] is None else pair[place]
            if shown:
                turns.append([reply.session, reply.turn, reply.attempt])
                counterfactual += after
                by_hand += bool(reply.by_hand or reply.supplied)
            if difference is None:
                continue
            if difference.pop("diverges"):
                diverged.add(reply.session)
            if shown:
                changed.append({**difference, "counterfactual": after})
        return {
            "id": str(found.header.get("id", "")),
            "persona": str(found.header.get("persona", "")),
            "turns": turns,
            "changed": changed,
            "counterfactual": counterfactual,
            "seeded": seeded,
            "by_hand": by_hand,
            "damaged": found.damaged,
            "incomplete": [
                [reply.session, reply.turn, reply.attempt, reply.incomplete]
                for reply in found.replies
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
        """What differs of one reply, or None; and whether the session ended there, then and now."""
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
            # The log does not tell what was found, only what became of it.
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
            # A hook that failed then and fails now has not changed.
            return None, ends
        said = [None if found.discard else found.text for found in (before, after)]
        diverges = bool({"error", "mended", "discard", "ending"} & set(kinds)) or said[0] != said[1]
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
    """Whether every hook gave what the log says it gave."""
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
    ends = [None if found.termination is None else found.termination.kind for found in
            (before, after)]  # fmt: skip
    if ends[0] != ends[1]:
        kinds.append("ending")
    return kinds


@lru_cache(maxsize=64)
def _policy(parts: str) -> Scenario:
    """What a recorded scenario says of replies: logs of one folder have few of them."""
    return Scenario.from_public(json.loads(parts))


def rules_of(found: RecordedReplies) -> Callable[[RecordedReply], Rules]:
    """The rules of a log's scenario, with the counters as they stood when a reply was dropped."""
    recorded = found.header.get("scenario")
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
