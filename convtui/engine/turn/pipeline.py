"""The stages of a reply, in their only order: signals, post_process, discard, commit, terminate.

`pipeline()` is a synchronous generator. It yields the result of every stage that ran and gets it
back, perhaps edited. The engine drives it through the gate, rehook drives it bare. It touches
neither disk nor clock-driven state and calls nothing but the side's hooks.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple, Protocol

from convtui.errors import HookError
from convtui.providers.base import SignalMatch, match_signals, thought_signals
from convtui.records.interim import Interim
from convtui.records.models import STAGES, Speaker, Stage, Termination
from convtui.scenario.provider_hooks import REPLY_HOOKS
from convtui.text_checks.reasoning import (
    is_inside,
    reasoning_spans,
    says_nothing,
    without_reasoning,
)

SignalAction = Literal["end", "pause", "ignore"]


class Hooks(Protocol):
    """One side's hooks, checked: each raises `HookError` when the side's code fails."""

    def extract_signals(self, raw: str) -> list[SignalMatch]:
        """The signals in the raw reply."""
        ...

    def post_process(self, raw: str) -> str:
        """The text to be said."""
        ...

    def should_discard(self, matches: Sequence[SignalMatch]) -> bool:
        """Whether the reply is dropped."""
        ...

    def owner(self, hook: str) -> str:
        """`yours` or `default`."""
        ...

    def metadata(self) -> dict[str, Any]:
        """Metadata of the last reply; read once, after post-processing."""
        ...


_NO_ACTIONS: Final[Mapping[str, SignalAction]] = {}


class Rules(NamedTuple):
    """What the scenario says about a reply, and what the conversation's counters say about ends."""

    speaker: Speaker
    on_signal: Mapping[str, SignalAction] = _NO_ACTIONS
    on_discard: Literal["end", "retry", "skip"] = "end"
    retries_left: int = 0
    """Discards that may still be answered by asking again."""
    skips_left: int = 1
    """Discards in a row that may still be skipped."""
    global_signal: str = ""
    at_turn: int = 0
    caps: Callable[[], Termination | None] = lambda: None
    """Asked after the turn was committed."""
    says_interim: bool = False
    """Whether what stands beside tool calls is said as well (`interim: say`)."""

    def action(self, signal: str) -> SignalAction:
        """What a declared signal does; keys of `on_signal` are compared case-insensitively."""
        if signal in self.on_signal:
            return self.on_signal[signal]
        folded = signal.casefold()
        for name, action in self.on_signal.items():
            if name.casefold() == folded:
                return action
        return "end"


@dataclass(slots=True)
class StageResult:
    """A stage's result, on its way to being final; the driver may change it before sending it back.

    Changing `raw` runs the stages from `signals` again (`revision` + 1). `text` may be changed from
    `post_process` on, `matches` at `signals`, `discard` at `discard`, `termination` at `terminate`.
    """

    stage: Stage
    raw: str
    revision: int = 1
    matches: list[SignalMatch] = field(default_factory=list)
    text: str | None = None
    interim: tuple[Interim, ...] = ()
    """What was said beside tool calls, post-processed, where it is said (`interim: say`)."""
    discard: bool | None = None
    outcome: Literal["commit", "end", "retry", "skip"] | None = None
    termination: Termination | None = None
    ends: Termination | None = None
    """Set by the driver at `commit`: with this the session ends after the turn."""
    would_have: str | None = None
    empty: bool = False
    error_text: str | None = None
    """Set by the driver: what in the reply, or in its metadata, is the text of an error."""
    hook: str = "default"
    duration: float = 0.0
    metadata: dict[str, Any] | None = None
    error: HookError | None = None
    again: bool = False
    """Set by the driver: run this stage's hook once more (after an error was dealt with)."""
    back: Stage | None = None
    """Set by the driver: go back to this earlier stage; those before it run again as well."""
    rerun: bool = False
    """Whether this stage runs again because something upstream was edited."""

    @property
    def said(self) -> str:
        """The whole text of the turn: what was said beside tool calls, then the reply."""
        return "\n\n".join(filter(None, (*(part.text for part in self.interim), self.text)))


class PipelineResult(NamedTuple):
    """The outcome of the stages."""

    result: Literal["commit", "end", "retry", "skip"]
    raw: str
    text: str
    matches: list[SignalMatch]
    termination: Termination | None
    revision: int = 1
    would_have: str | None = None


@lru_cache(maxsize=32)
def _global_pattern(signal: str) -> re.Pattern[str]:
    return re.compile(re.escape(signal), re.IGNORECASE)


def has_global_signal(signal: str, text: str) -> bool:
    """Whether the global termination signal stands in a text (literally, case-insensitively)."""
    return bool(signal) and _global_pattern(signal).search(text) is not None


def pipeline(
    raw: str, hooks: Hooks, rules: Rules, interim: Sequence[Interim] = ()
) -> Generator[StageResult, StageResult, PipelineResult]:
    """Takes a raw reply through stages `signals` to `terminate`.

    `interim` is what the model said beside its tool calls in earlier rounds of the turn: signals
    are looked for in it as well, and where it is said it is post-processed, text by text.

    Yields one result for each stage that runs: `signals`, `post_process`, `discard` (only when a
    declared signal that is not ignored was found), `commit` (not for a discarded turn) and
    `terminate` (only when something ends the session). The driver commits between receiving the
    `commit` result and sending it back, so that the caps count that turn. A failing hook is a
    result with `error`; sent back with `again` the hook is run once more, otherwise the fields the
    driver has filled in count.
    """
    run = _Pass(raw, hooks, rules, interim)
    while True:
        ended = yield from run.stages()
        if isinstance(ended, PipelineResult):
            return ended
        until = ended.back or ended.stage
        run = _Pass(ended.raw, hooks, rules, interim, revision=run.revision + 1, until=until)


class _Pass:
    """One run through the stages; an edit of the raw reply starts the next one."""

    def __init__(
        self,
        raw: str,
        hooks: Hooks,
        rules: Rules,
        interim: Sequence[Interim] = (),
        *,
        revision: int = 1,
        until: Stage | None = None,
    ) -> None:
        self.raw = raw
        self.interim = interim
        self.hooks = hooks
        self.rules = rules
        self.revision = revision
        self._until = until
        """The stage of the edit; those before it run again without holds."""

    def _offer(
        self, result: StageResult, hook: Callable[[StageResult], None] | None = None
    ) -> Generator[StageResult, StageResult, StageResult]:
        while True:
            if hook is not None:
                self._call(hook, result)
            result.rerun = self._is_on_the_way(result)
            result = yield result
            if not result.again:
                break
            result.again = False
        return result

    def _is_edited(self, result: StageResult) -> bool:
        """Whether the driver has edited the result so that the stages have to run again."""
        return result.raw != self.raw or result.back is not None

    def _is_on_the_way(self, result: StageResult) -> bool:
        """Whether a stage only runs again so that the one at which the edit was made is reached.

        A reply that is dropped now never gets there, and one without signals passes by `discard`:
        what comes instead of the stage counts as that stage.
        """
        if self._until is None:
            return False
        if STAGES.index(result.stage) >= STAGES.index(self._until) or result.discard:
            self._until = None
        return self._until is not None

    @staticmethod
    def _call(hook: Callable[[StageResult], None], result: StageResult) -> None:
        started = time.perf_counter()
        result.error = None
        try:
            hook(result)
        except HookError as error:
            result.error = error
        result.duration = time.perf_counter() - started

    def _result(self, stage: Stage, **fields: Any) -> StageResult:
        hook = REPLY_HOOKS.get(stage)
        if hook is not None:
            fields["hook"] = self.hooks.owner(hook.name)
        return StageResult(stage, self.raw, self.revision, **fields)

    def stages(self) -> Generator[StageResult, StageResult, PipelineResult | StageResult]:
        """Runs the stages; returns an edited result as soon as it makes them run again."""
        rules = self.rules
        result = yield from self._offer(self._result("signals"), self._extract)
        if self._is_edited(result):
            return result
        matches = result.matches
        result = yield from self._offer(
            self._result("post_process", matches=matches), self._process
        )
        if self._is_edited(result):
            return result
        text = self.raw if result.text is None else result.text
        interim = result.interim

        acting = acting_matches(rules, matches)
        would_have = "end" if not acting and any(match.counts for match in matches) else None
        outcome: Literal["commit", "end", "retry", "skip"] = "commit"
        if acting:
            result = self._result("discard", matches=matches, text=text)
            result = yield from self._offer(result, self._judge)
            if self._is_edited(result):
                return result
            text = text if result.text is None else result.text
            if result.discard:
                outcome = after_discard(rules)
            elif result.outcome is not None and result.outcome != "commit":
                would_have = "discard"

        if outcome == "commit":
            if not acting and _says_the_end(rules, text):
                ignored = rules.action(rules.global_signal) == "ignore"
                would_have = "end" if ignored else would_have
            result = yield from self._offer(
                self._result(
                    "commit",
                    matches=matches,
                    text=text,
                    outcome="commit",
                    interim=interim,
                    empty=says_nothing(text) and not interim,
                    would_have=would_have,
                )
            )
            if self._is_edited(result):
                return result
            text = text if result.text is None else result.text
            termination = result.ends or ending(rules, acting, text)
        else:
            termination = discarded(rules, acting) if outcome == "end" else None

        if termination is not None:
            result = yield from self._offer(
                self._result(
                    "terminate",
                    matches=matches,
                    text=text,
                    outcome=outcome,
                    termination=termination,
                )
            )
            termination = result.termination
            if termination is None:
                would_have = "end"
                # With the ending overridden, a discarded turn is skipped.
                outcome = "skip" if outcome == "end" else outcome
        return PipelineResult(
            outcome, self.raw, text, matches, termination, self.revision, would_have
        )

    def _extract(self, result: StageResult) -> None:
        matches: list[SignalMatch] = []
        for part in self.interim:
            matches += [replace(match, round=part.round) for match in self._signals_in(part.text)]
        result.matches = matches + self._signals_in(result.raw)

    def _signals_in(self, text: str) -> list[SignalMatch]:
        matches = self.hooks.extract_signals(text)
        rules = self.rules
        thought = reasoning_spans(text)
        if not thought:
            return matches
        persona = rules.speaker == "persona"
        matches = [
            replace(match, inside="reasoning", counts=not persona)
            if is_inside(thought, match.start, match.end) and match.end
            else match
            for match in matches
        ]
        if persona and rules.global_signal:
            # It has no effect there; the match shows why.
            matches += thought_signals(text, rules.global_signal)
        return matches

    def _process(self, result: StageResult) -> None:
        if self.rules.says_interim:
            texts = (
                Interim(part.round, self.hooks.post_process(part.text)) for part in self.interim
            )
            result.interim = tuple(part for part in texts if part.text.strip())
        result.text = self.hooks.post_process(result.raw)
        result.metadata = self.hooks.metadata() or None

    def _judge(self, result: StageResult) -> None:
        result.discard = self.hooks.should_discard(acting_matches(self.rules, result.matches))
        result.outcome = after_discard(self.rules) if result.discard else "commit"


def acting_matches(rules: Rules, matches: Sequence[SignalMatch]) -> list[SignalMatch]:
    """The matches that have an effect: those that count and are not ignored."""
    return [match for match in matches if match.counts and rules.action(match.signal) != "ignore"]


def after_discard(rules: Rules) -> Literal["end", "retry", "skip"]:
    """What follows a discarded turn."""
    if rules.on_discard == "retry":
        return "retry" if rules.retries_left > 0 else "end"
    if rules.on_discard == "skip":
        return "skip" if rules.skips_left > 0 else "end"
    return "end"


def discarded(rules: Rules, acting: Sequence[SignalMatch]) -> Termination:
    """The termination of a session whose last reply was discarded."""
    return Termination(
        kind="discarded",
        by=rules.speaker,
        reason=f"a reply with {_named(acting)} was discarded",
        at_turn=rules.at_turn,
        signal=acting[0].signal if acting else None,
    )


def ending(rules: Rules, acting: Sequence[SignalMatch], text: str) -> Termination | None:
    """The first of: the speaker's own signals, the global signal, the caps."""
    if acting:
        # One that ends outranks one that pauses.
        first = next((m for m in acting if rules.action(m.signal) == "end"), acting[0])
        return Termination(
            kind="early_termination",
            by=rules.speaker,
            reason=f"the {rules.speaker} signalled {_named(acting)}",
            at_turn=rules.at_turn,
            signal=first.signal,
        )
    if _says_the_end(rules, text) and rules.action(rules.global_signal) != "ignore":
        return Termination(
            kind="early_termination",
            by="persona",
            reason=f"the persona said {rules.global_signal}",
            at_turn=rules.at_turn,
            signal=rules.global_signal,
        )
    return rules.caps()


def _says_the_end(rules: Rules, text: str) -> bool:
    return rules.speaker == "persona" and has_global_signal(
        rules.global_signal, without_reasoning(text)
    )


def _named(matches: Sequence[SignalMatch]) -> str:
    return ", ".join(dict.fromkeys(match.signal for match in matches))


class PlainHooks:
    """Hooks of a side that has none of its own: declared signals are matched, text is kept."""

    def __init__(self, signals: Sequence[str] = ()) -> None:
        self._signals = signals

    def extract_signals(self, raw: str) -> list[SignalMatch]:
        """Every declared signal."""
        return match_signals(raw, self._signals)

    def post_process(self, raw: str) -> str:
        """The raw text."""
        return raw

    def should_discard(self, matches: Sequence[SignalMatch]) -> bool:
        """Never."""
        return False

    def owner(self, hook: str) -> str:
        """`default`."""
        return "default"

    def metadata(self) -> dict[str, Any]:
        """None."""
        return {}
