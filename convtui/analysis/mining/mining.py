"""Mines saved runs for the patterns of warm templates: tool calls that succeeded.

Runs are scanned newest first. The limit on runs counts only those that qualify, so short or
unsuccessful ones do not use it up. Only calls whose result is on record and a known success become
patterns. Secrets are redacted before texts are truncated.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from convtui.analysis.profile.profile import tally_of
from convtui.analysis.tool_calls.gains import Tally, gain_of
from convtui.analysis.tool_calls.outcomes import is_trivial, tool_type
from convtui.analysis.tool_calls.tool_calls import MadeCall, calls_of
from convtui.errors import LogError
from convtui.log.reader import Log, open_log
from convtui.records.codec import RecordDict
from convtui.secrets.redactor import CarefulRedactor, Redactor
from convtui.text.counts import counted
from convtui.transcript.fold import COMMITTED, Transcript, Turn
from convtui.warm.templates import VERSION, WarmPattern, WarmTemplate

MAX_RESULT: Final = 500
"""Characters of a result that a pattern keeps."""
MAX_CONTEXT: Final = 200
"""Characters of the user's text before and of the reply after that a pattern keeps."""
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_REPLIES: Final = re.compile(rb'"type"\s*:\s*"llm\.response"')


@dataclass(slots=True, frozen=True)
class Rules:
    """Criteria for the runs and calls to use."""

    min_messages: int = 30
    """The least number of messages in the provider's chat: turns, calls and results."""
    max_sessions: int = 30
    """The greatest number of runs to use, newest first."""
    source: str = ""
    """Required source, one of `sources_of`: run, import, continue, hermes, cli, ...; empty: any."""
    ended: tuple[str, ...] = ()
    """Accepted endings, of those in `endings_of`; empty: any."""
    max_error_rate: float = 0.5
    """The greatest share of failures among calls whose outcome is known, 0 to 1."""
    min_success_rate: float = 0.8
    """The least success rate of a tool in a run; below it the tool's calls are no patterns."""


@dataclass(slots=True)
class Mined:
    """The result of mining: patterns, and statistics about runs and calls."""

    given: int = 0
    """Runs that were given."""
    scanned: int = 0
    """Runs that were read; reading stops when `Rules.max_sessions` have qualified."""
    used: list[str] = field(default_factory=list)
    """Ids of the runs that qualified, newest first."""
    patterns: list[WarmPattern] = field(default_factory=list)
    """Distinct calls, most frequent first."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Runs by the reason why they were left out."""
    tools: Counter[str] = field(default_factory=Counter)
    """Calls of qualified runs by tool."""
    unreliable: Counter[str] = field(default_factory=Counter)
    """Successful calls of tools that failed too often, by tool."""
    gains: list[float] = field(default_factory=list)
    """Late error rate minus early, of each qualified run where both are known."""
    sources: Counter[str] = field(default_factory=Counter)
    """Runs by source; a run may have several."""
    endings: Counter[str] = field(default_factory=Counter)
    """Runs by ending; a run may have several."""

    @property
    def mean_gain(self) -> float | None:
        """The mean of `gains`; negative is an improvement."""
        return sum(self.gains) / len(self.gains) if self.gains else None

    @property
    def successful_calls(self) -> int:
        """Successful calls behind the patterns, including repetitions."""
        return sum(pattern.success_count for pattern in self.patterns)

    def why_nothing(self, rules: Rules) -> str:
        """The reason why there is no pattern, in words; empty where there are some."""
        if self.patterns:
            return ""
        if not self.given:
            return "there are no runs; `convtui runs` lists saved ones"
        if rules.source and rules.source not in self.sources:
            return f"no run has the source {rules.source!r}; there are: {_names(self.sources)}"
        if rules.ended and not set(rules.ended) & set(self.endings):
            kinds = " or ".join(rules.ended)
            return f"no run ended {kinds}; there are: {_names(self.endings)}"
        if not self.used:
            why, number = self.left_out.most_common(1)[0] if self.left_out else ("", 0)
            return "no run passed" + (f"; {number:,} of {self.scanned:,}: {why}" if why else "")
        if self.unreliable:
            return "every tool failed too often (--min-success-rate)"
        return "no call is known to have worked"

    def metrics(self) -> dict[str, Any]:
        """The statistics that a template stores."""
        gain = self.mean_gain
        return {
            "sessions_scanned": self.scanned,
            "sessions_qualified": len(self.used),
            "total_patterns": len(self.patterns),
            "successful_calls": self.successful_calls,
            "tool_distribution": dict(self.tools.most_common()),
            "avg_proficiency_gain": None if gain is None else round(gain, 3),
            "left_out": dict(self.left_out.most_common()),
        }

    def template(
        self, name: str, *, description: str = "", tags: Sequence[str] = (), addendum: str = ""
    ) -> WarmTemplate:
        """A template of the patterns, in which braces are literal text, not slots."""
        count = len(self.used)
        generated = f"Auto-generated from {count} session{'s' * (count != 1)}"
        return WarmTemplate(
            name=name,
            description=description or generated,
            patterns=self.patterns,
            system_prompt_addendum=addendum,
            tags=list(tags),
            source_session_ids=[_valid(run_id) for run_id in self.used],
            created_at=time.time(),
            version=VERSION,
            metrics={key: value for key, value in self.metrics().items() if value is not None},
            slots=None if addendum else {},
        )


def _names(counted: Iterable[str]) -> str:
    return ", ".join(sorted(counted)) or "none"


def mine(
    logs: Iterable[Path],
    rules: Rules,
    redactor: Redactor,
    *,
    progress: Callable[[int], None] = lambda scanned: None,
) -> Mined:
    """Mines logs, which are given newest first. Blocking.

    `progress` is called after each log with the number scanned. A log that cannot be opened is
    counted as left out.
    """
    redactor = CarefulRedactor(redactor)
    mined = Mined()
    merged: dict[str, WarmPattern] = {}
    for path in logs:
        mined.given += 1
        if len(mined.used) >= rules.max_sessions:
            mined.left_out[f"not needed: {rules.max_sessions} newer ones passed"] += 1
            continue
        mined.scanned += 1
        try:
            with open_log(path) as log:
                why = _take(log, rules, redactor, mined, merged)
        except LogError:
            why = "cannot be read"
        if why:
            mined.left_out[why] += 1
        progress(mined.scanned)
    mined.patterns = sorted(merged.values(), key=lambda pattern: -pattern.success_count)
    return mined


def _take(
    log: Log, rules: Rules, redactor: Redactor, mined: Mined, merged: dict[str, WarmPattern]
) -> str:
    """Adds the patterns of a run; returns why it is left out, or an empty string."""
    transcript = log.transcript
    sources, endings = sources_of(transcript.header), endings_of(log)
    mined.sources.update(sources)
    mined.endings.update(endings)
    if rules.source and rules.source not in sources:
        return "another source"
    if rules.ended and not endings & set(rules.ended):
        return "another ending"
    calls = calls_of(log)
    messages = _messages(log, calls)
    if messages < rules.min_messages:
        return f"fewer than {counted(rules.min_messages, 'message')}"
    relevant = [call for call in calls if not is_trivial(call.name)]
    if not relevant:
        return "no tool calls"
    rate = tally_of(relevant).error_rate
    if rate is None:
        return "no call with a known outcome"
    if rate > rules.max_error_rate:
        return f"error rate above {rules.max_error_rate:g}"
    mined.used.append(transcript.id)
    mined.tools.update(call.name for call in relevant)
    gain = gain_of([[call.outcome.success for call in relevant]]).change
    if gain is not None:
        mined.gains.append(gain)
    kind = _main_type(relevant)
    tallies = {
        name: tally_of(call for call in relevant if call.name == name)
        for name in {call.name for call in relevant}
    }
    last = {(call.session, call.turn): call.seq for call in relevant}
    for call in relevant:
        if call.outcome.success is not True or not call.answered or not _can_be_shown(call):
            continue
        if _success_rate(tallies[call.name]) < rules.min_success_rate:
            mined.unreliable[call.name] += 1
            continue
        is_last = last[call.session, call.turn] == call.seq
        _merge(merged, _pattern(log, call, kind, redactor, is_last=is_last))
    return ""


def _can_be_shown(call: MadeCall) -> bool:
    """Whether a call can become a pattern.

    It needs a name, and arguments that are a JSON object whose keys are valid Unicode, as the name.
    """
    if not call.name or not isinstance(call.arguments, dict):
        return False
    try:
        "".join([call.name, *call.arguments]).encode()
        json.dumps(call.arguments, allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        return False
    return True


def _success_rate(tally: Tally) -> float:
    return tally.ok / tally.known if tally.known else 0.0


def _main_type(calls: Sequence[MadeCall]) -> str:
    """The most called type of tool; on ties the one called first."""
    types = Counter(tool_type(call.name) for call in calls)
    return types.most_common(1)[0][0]


def _messages(log: Log, calls: Sequence[MadeCall]) -> int:
    """Messages of the provider's chat: committed turns, replies that call tools, tool results."""
    committed = sum(turn.status == COMMITTED for turn in log.transcript.turns)
    last = len(log.transcript.offsets) - 1
    replies = sum(
        bool(record.get("tool_calls"))
        for record in log.reader.single.range(0, last, _REPLIES)
        if record.get("side") != "responder" and not record.get("reused")
    )
    return committed + replies + sum(call.answered for call in calls)


# --- sources and endings of a run


def sources_of(header: RecordDict) -> set[str]:
    """The names of a run's source in lower case: its origin, format, and the file's own source."""
    names = [str(header.get("origin") or "run")]
    imported = header.get("imported")
    if isinstance(imported, dict):
        names.append(str(imported.get("format") or ""))
        session = imported.get("session")
        if isinstance(session, dict):
            names += [str(session.get(key) or "") for key in ("source", "platform")]
    return {name.lower() for name in names if name}


def endings_of(log: Log) -> set[str]:
    """The names of a run's ending: the kind, and the reason that an imported file states."""
    termination = log.transcript.termination
    if not termination:
        return {"running" if log.running else "crashed"}
    detail = termination.get("detail")
    reason = detail.get("end_reason") if isinstance(detail, dict) else None
    return {name for name in (str(termination.get("kind") or ""), str(reason or "")) if name}


# --- patterns


def _pattern(
    log: Log, call: MadeCall, kind: str, redactor: Redactor, *, is_last: bool
) -> WarmPattern:
    turn = None if call.turn is None else log.transcript.find(call.session, call.turn)
    before = _user_text_before(log, call, turn)
    answer = turn.text if turn is not None and is_last and turn.status == COMMITTED else ""
    return WarmPattern(
        tool_name=call.name,
        arguments=redactor.data(call.arguments),
        result_summary=_valid(_result(call.result, redactor)[:MAX_RESULT]),
        preceding_context=_valid(redactor.text(before)[:MAX_CONTEXT]),
        pattern_type="sequence",
        success_count=1,
        session_types=[kind],
        reply=_valid(redactor.text(answer)[:MAX_CONTEXT]),
    )


def _valid(text: str) -> str:
    """The text with lone surrogates replaced by U+FFFD."""
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text)


def _user_text_before(log: Log, call: MadeCall, turn: Turn | None) -> str:
    """The user's text directly before a call; empty where a tool result comes between."""
    if turn is None or turn.speaker != "provider":
        return ""
    try:
        number = log.reader.by_seq(call.seq).get("round")
    except ValueError:
        return ""
    if isinstance(number, int) and number > 1:
        return ""
    before = _previous(log.transcript, turn)
    return before.text if before is not None and before.speaker == "persona" else ""


def _previous(transcript: Transcript, turn: Turn) -> Turn | None:
    session = transcript.session(turn.session)
    if session is None:
        return None
    earlier = [
        index
        for index in session.turns
        if index < turn.index and transcript.turns[index].status == COMMITTED
    ]
    return transcript.turns[earlier[-1]] if earlier else None


def _result(value: Any, redactor: Redactor) -> str:
    """A result as redacted text, including secrets in JSON that only their keys reveal."""
    if not isinstance(value, str):
        return "" if value is None else _text(redactor.data(value))
    text = redactor.text(value)
    if text.lstrip()[:1] in ("{", "["):
        try:
            data = json.loads(text)
            clean = redactor.data(data)
        except (ValueError, RecursionError):
            return text
        return text if clean == data else _text(clean)
    return text


def _text(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):
        return ""


def _merge(merged: dict[str, WarmPattern], pattern: WarmPattern) -> None:
    """Adds a pattern, or merges it into that of the same call."""
    key = json.dumps([pattern.tool_name, pattern.arguments], sort_keys=True, default=str)
    known = merged.get(key)
    if known is None:
        merged[key] = pattern
        return
    types = [*known.session_types, *pattern.session_types]
    merged[key] = known.model_copy(
        update={
            "success_count": known.success_count + 1,
            "session_types": list(dict.fromkeys(types)),
            "preceding_context": known.preceding_context or pattern.preceding_context,
            "reply": known.reply or pattern.reply,
        }
    )
