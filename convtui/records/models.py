"""The records of a log: what the engine emits, what the log holds, what every screen reads.

A record is a flat JSON object. It begins with `seq` (0, 1, 2 ... without gaps), `t` (seconds since
the header's `created_at`), `type` and, where they apply, `session`, `turn`, `side`, `attempt`,
`round`, `call` (the `seq` of its `llm.request`) and `revision`; then comes what the type carries.
Readers keep records of unknown types and unknown fields of known ones.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from convtui.records.codec import (
    ENVELOPE,
    EXIT_CODES,
    FORMAT,
    MAJOR,
    STAGES,
    VERSION,
    HoldReason,
    RecordDict,
    Side,
    Speaker,
    Stage,
    TerminationBy,
    TerminationKind,
    address,
    decode,
    encode,
    exit_code,
    parse_address,
)

__all__ = [
    "ENVELOPE",
    "EXIT_CODES",
    "FORMAT",
    "MAJOR",
    "RECORD_TYPES",
    "STAGES",
    "VERSION",
    "BudgetCrossed",
    "BudgetRaised",
    "ContextCompressed",
    "ContextSeeded",
    "ConversationEnded",
    "DebugEdited",
    "DebugHandedBack",
    "DebugHeld",
    "DebugInjected",
    "DebugOverrode",
    "DebugReleased",
    "DebugTookOver",
    "Header",
    "HistorySeeded",
    "HoldReason",
    "HumanWrote",
    "LlmFailed",
    "LlmPartial",
    "LlmRequest",
    "LlmResponse",
    "LlmRetry",
    "ParentRef",
    "ProviderCleanup",
    "ProviderOutput",
    "ProviderReloadFailed",
    "ProviderRestored",
    "ProviderSetup",
    "Record",
    "RecordDict",
    "ReflectionAdded",
    "ResponseProcessed",
    "SessionEnded",
    "SessionEntered",
    "SessionReset",
    "SessionStarted",
    "SessionsPrepared",
    "Side",
    "SignalsExtracted",
    "Speaker",
    "Stage",
    "Termination",
    "TerminationBy",
    "TerminationKind",
    "ToolApproved",
    "ToolCalled",
    "ToolDenied",
    "ToolReturned",
    "Trailer",
    "TurnCancelled",
    "TurnCommitted",
    "TurnDiscarded",
    "TurnInactive",
    "TurnSkipped",
    "TurnStarted",
    "UserCleanup",
    "UserClosed",
    "UserDecided",
    "UserEnded",
    "Warned",
    "address",
    "decode",
    "encode",
    "exit_code",
    "parse_address",
]


class Termination(BaseModel):
    """Why a session or a conversation ended."""

    model_config = ConfigDict(extra="allow")

    kind: TerminationKind
    by: TerminationBy
    reason: str
    at_turn: int
    signal: str | None = None
    detail: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """The record without the fields that do not apply."""
        return {key: value for key, value in self if value is not None}


class Record(BaseModel):
    """The envelope; `seq` and `t` are set by the writer."""

    model_config = ConfigDict(extra="allow")
    TYPE: ClassVar[str] = ""

    session: int | None = None
    turn: int | None = None
    side: Side | None = None
    attempt: int | None = None
    round: int | None = None
    call: int | None = None
    revision: int | None = None

    def payload(self) -> RecordDict:
        """The record without `seq` and `t`; fields that are None are left out."""
        data: RecordDict = {"type": self.TYPE}
        for key, value in self.__dict__.items():
            if value is not None:
                data[key] = value if type(value) in _ATOMS else _plain(value)
        if self.__pydantic_extra__:
            for key, value in self.__pydantic_extra__.items():
                if value is not None:
                    data[key] = _plain(value)
        return self.completed(data)

    @classmethod
    def completed(cls, data: RecordDict) -> RecordDict:
        """The payload, with what is written of this type although it is null."""
        return data


_ATOMS = frozenset({str, int, float, bool})


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return {key: _plain(item) for key, item in value if item is not None}
    if isinstance(value, list) and value and isinstance(value[0], BaseModel):
        return [_plain(item) for item in value]
    return value


class ParentRef(BaseModel):
    """The log that a log continues: its id, file, the last record used and a digest up to it."""

    id: str
    file: str
    seq: int
    sha256: str


class Header(Record):
    """The first record of every log."""

    TYPE = "header"
    format: str = FORMAT
    version: str = VERSION
    id: str
    created_at: str
    """ISO 8601, UTC."""
    origin: Literal["run", "continue", "import", "rehook", "compress"] = "run"
    parents: list[ParentRef] = []
    change: dict[str, Any] | None = None
    """What a continuation changed: `{kind: resume|restart|reload|rewind|fork|..., ...}`. Of another
    attempt at the conversation of its parent, which begins anew: `{kind: reflexion, attempt}`."""
    persona: str
    provider: dict[str, Any]
    """`{spec, name, kind}` and, where they are known, `{file, sha256, model}`."""
    scenario: dict[str, Any]
    """The resolved scenario, without secrets."""
    environment: dict[str, str] = {}
    seal: str | None = None
    """A code over id, provider and scenario that only the program of the user who ran it can make;
    see `convtui.trust.rules`. Imports have none."""


class HistorySeeded(Record):
    """What a continued conversation starts from, by value. The second record of a child log."""

    TYPE = "history.seeded"
    turns: list[dict[str, Any]]
    """Committed turns: `{session, turn, speaker, text, messages?, metadata?, human?, edited?,
    draft?, flags?, would_have?}`."""
    sessions: list[str]
    current: int
    counters: dict[str, Any]
    messages: dict[str, list[dict[str, Any]]]
    """Each side's message list as it stood."""
    ended: list[dict[str, Any]] = []
    """Sessions that are over: `{session, session_type, termination}`."""
    past: dict[str, Any] | None = None
    """What the parents' logs say beside the texts (see `transcript.past`): `{turns, open?,
    sessions, totals, outputs?}`. `turns` has also those that were dropped or skipped."""
    clock: dict[str, float] | None = None
    """Seconds that the conversation had taken: `{running, held}`."""


class ProviderSetup(Record):
    """`provider.setup()` was called."""

    TYPE = "provider.setup"
    duration: float
    outcome: Literal["ok", "failed"]
    error: dict[str, Any] | None = None
    hooks: dict[str, str] | None = None
    """Hook name to `yours` or `default`."""
    stateful: bool | None = None
    termination_signals: list[str] = []
    persona_signals: list[str] = []


class SessionsPrepared(Record):
    """`prepare_sessions()` was called."""

    TYPE = "sessions.prepared"
    requested: list[str]
    prepared: list[str]
    duration: float = 0.0
    replayed: bool | None = None
    """Whether it was called again to bring the provider to where the conversation stands; the
    sessions on record stand."""


class SessionEntered(Record):
    """`enter_session()` was called."""

    TYPE = "session.entered"
    session_type: str
    duration: float
    outcome: Literal["ok", "failed"] = "ok"
    error: dict[str, Any] | None = None
    replayed: bool | None = None
    """Whether the session is one of the past, entered again to bring the provider up to it."""


class SessionReset(Record):
    """`finish_and_reset_session()` was called, between two sessions."""

    TYPE = "session.reset"
    next_session_type: str
    duration: float
    outcome: Literal["ok", "failed"] = "ok"
    error: dict[str, Any] | None = None
    replayed: bool | None = None
    """As that of `session.entered`."""


class SessionStarted(Record):
    """The turn loop of a session begins."""

    TYPE = "session.started"
    session_type: str
    first_speaker: Speaker
    max_turns: int | None = None
    """The cap in force; None where an imported file does not tell."""
    """The cap in force, after it was raised so that the provider has the last word."""
    continued: bool | None = None


class TurnStarted(Record):
    """A turn begins: somebody is about to speak."""

    TYPE = "turn.started"
    speaker: Speaker
    human: bool | None = None


class LlmRequest(Record):
    """What is sent: the messages of request `base` up to `keep`, then `append`.

    `sha256` is taken over the whole list as canonical JSON (see `log.requests`).
    """

    TYPE = "llm.request"
    base: int | None = None
    keep: int = 0
    append: list[dict[str, Any]]
    params: dict[str, Any] = {}
    model: str | None = None
    tools: list[str] | None = None
    """Names of the tools that were offered."""
    estimate: dict[str, Any] | None = None
    """What the call is expected to use, where a budget is set: `{prompt_tokens,
    completion_tokens?, cost?}`; from the size of the messages and what earlier calls of the side
    have used."""
    sha256: str

    @classmethod
    def completed(cls, data: RecordDict) -> RecordDict:
        """Writes `base` also when it is null."""
        data.setdefault("base", None)
        return data


class LlmPartial(Record):
    """The text that arrived since the last one, for replies that take longer than a second."""

    TYPE = "llm.partial"
    offset: int
    text: str


class LlmResponse(Record):
    """A complete raw reply."""

    TYPE = "llm.response"
    raw: str
    reasoning: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    finish_reason: str | None = None
    """None where the endpoint sent none."""
    refused: bool | None = None
    """The text, or a part of it, is a refusal of the model."""
    parts: list[dict[str, Any]] | None = None
    """What came beside the text and is none (images, audio, ...), with long data cut."""
    usage: dict[str, Any] | None = None
    """What the endpoint said of it; nothing is counted here."""
    response_id: str | None = None
    model: str | None = None
    ttft: float | None = None
    """Seconds to the first token."""
    duration: float | None = None
    """Seconds."""
    chunks: list[list[float]] | None = None
    """`[seconds since the request, characters of text]` of each piece, merged to 50 a second."""
    metadata: dict[str, Any] | None = None
    reused: dict[str, Any] | None = None
    """Where the reply was first received, when it was not asked for again: `{log, seq}`."""
    error: dict[str, Any] | None = None
    """The call failed after this had arrived, and this was enough: a decision stands."""
    incomplete: str | None = None
    """Why the reply did not come to its end, or is none: length, content_filter, refusal,
    no_finish, reasoning_only or stream_died."""


class HumanWrote(Record):
    """What a human said, whose turn it is, before it goes through the stages."""

    TYPE = "human.wrote"
    text: str
    draft: Literal["sent", "edited", "replaced"] | None = None
    """What the human did with the draft that the side had made, if there was one."""
    reused: dict[str, Any] | None = None
    """Where it was first written, when nobody was asked again: `{log, seq}`."""


class LlmRetry(Record):
    """An attempt failed in a way that is worth another; `n` counts from 1."""

    TYPE = "llm.retry"
    n: int
    delay: float
    """Seconds until the next attempt."""
    error: dict[str, Any]
    partial: str | None = None
    attempts: int | None = None
    """How many there may be in all."""


class LlmFailed(Record):
    """A call failed for good; `partial` is what had arrived."""

    TYPE = "llm.failed"
    error: dict[str, Any]
    partial: str | None = None
    duration: float | None = None


class ToolCalled(Record):
    """A tool is about to run, with these arguments; `round` counts from 1."""

    TYPE = "tool.called"
    id: str
    name: str
    arguments: dict[str, Any] | None = None
    raw_arguments: str = ""
    edited: bool | None = None
    """The arguments were edited by hand; `debug.edited` has those of the model."""
    max_rounds: int | None = None
    """How many rounds the turn may have."""


class ToolReturned(Record):
    """A tool's result, or its error as the model sees it.

    Calls of one round run together: their records stand in the order in which they came back, the
    messages of the model in the order in which they were called.
    """

    TYPE = "tool.returned"
    id: str
    name: str
    ok: bool
    result: Any = None
    error_kind: str | None = None
    duration: float | None = 0.0
    """Seconds; None where an imported file does not tell."""
    truncated: bool | None = None
    """`result` is cut; the whole stands in `<log>.tools.jsonl` (see `log.tool_results`)."""
    size: int | None = None
    """Characters of the whole, where it is cut."""
    reused: dict[str, Any] | None = None
    """Where it first stood, when the call was not made again: `{log, seq}`."""


class SignalsExtracted(Record):
    """Stage `signals`: what was found in the raw replies of the turn's rounds.

    A match is `{signal, matched, start, end, round?, inside?, counts?}`: `round` where it stands
    beside tool calls (its span is in that round's text), `inside: reasoning` for one that was only
    thought, `counts: false` where nothing follows from it.
    """

    TYPE = "signals.extracted"
    matches: list[dict[str, Any]]
    duration: float = 0.0
    hook: str = "default"


class ResponseProcessed(Record):
    """Stage `post_process`: the text to be said."""

    TYPE = "response.processed"
    text: str
    changed: bool
    duration: float = 0.0
    hook: str = "default"
    metadata: dict[str, Any] | None = None
    interim: list[dict[str, Any]] | None = None
    """What was said beside tool calls, post-processed, where it is said: `{round, text}`."""


class TurnDiscarded(Record):
    """The turn was dropped: it is not said and does not enter the history."""

    TYPE = "turn.discarded"
    speaker: Speaker
    text: str
    raw: str
    signals: list[dict[str, Any]]
    hook: str
    outcome: Literal["end", "retry", "skip"]
    human: bool | None = None
    interim: Literal["show", "say"] | None = None
    """What became of the texts beside its tool calls; they stand in the `llm.response` records."""
    incomplete: str | None = None
    error_text: str | None = None
    """As those of `turn.committed`."""


class TurnCommitted(Record):
    """The turn was said."""

    TYPE = "turn.committed"
    speaker: Speaker
    text: str
    words: int
    metadata: dict[str, Any] | None = None
    human: bool | None = None
    edited: bool | None = None
    empty: bool | None = None
    truncated: bool | None = None
    would_have: str | None = None
    """What an ignored or overridden signal would have done: `end` or `discard`."""
    draft: Literal["sent", "edited", "replaced"] | None = None
    """What a human did with the draft that the side had made for this turn, if there was one."""
    flags: list[dict[str, Any]] | None = None
    """What the free heuristics noticed: `{flag: role|label|sentinel|repeat|echo|farewell|leak,
    rule, matched?, start?, end?, ago?, count?, round?}` (see `heuristics`)."""
    interim: Literal["show", "say"] | None = None
    """What became of the texts that its model wrote beside tool calls: only shown on the screen,
    or said as part of `text`. They stand in the `llm.response` records of its rounds."""
    reply: str | None = None
    """With `interim: say`: what the last round said, which is the end of `text`."""
    incomplete: str | None = None
    """Why the reply did not come to its end, as in its `llm.response`."""
    error_text: str | None = None
    """What in the reply, or in its metadata, is the text of an error."""
    reasoning_cut: int | None = None
    """Characters of reasoning that the other side is not given: a persona's are not said, a
    provider's are kept from the simulated user."""


class TurnInactive(Record):
    """The turn was said, and is in the history no more: it is kept to be looked at.

    Of imported conversations, which were rewound or whose beginning was compacted.
    """

    TYPE = "turn.inactive"
    speaker: Speaker
    text: str
    reason: str
    """Why, in a word: rewound, compacted."""


class UserDecided(Record):
    """A responder's decision, or why there is none that counts.

    Recorded under `side: responder`, with `call` where a model was asked.
    """

    TYPE = "user.decided"
    kind: Literal["reply", "stop", "abstain", "error"]
    tool: str | None = None
    """The tool of the decision that stands; of an error, the tool that was called wrongly."""
    arguments: dict[str, Any] | None = None
    raw_arguments: str | None = None
    """The arguments as the model wrote them, where they could not be decoded."""
    valid: bool = True
    reason: str | None = None
    """Why it abstained or stopped, or what is wrong with the decision."""
    calls: list[dict[str, Any]] | None = None
    """Every tool call of the reply, in order, where it was not exactly one:
    `{tool, arguments?, raw_arguments?, error?}`."""
    latency: float | None = None
    """Seconds from the request to the decision."""
    by: Literal["responder", "human"] = "responder"
    """`human`: the decision was forced by hand; the responder's own is the record before it."""
    followup: int | None = None
    """Which follow-up a reply is, from 1, or would have been."""
    max_followups: int | None = None
    for_record: bool | None = None
    """All follow-ups are used up: what it would have decided; nothing is sent."""
    brief_edited: bool | None = None
    """Asked with instructions that were edited by hand."""


class UserEnded(Record):
    """The simulator said it is done."""

    TYPE = "user.ended"
    simulator: str
    reason: str
    dropped_text: str | None = None
    sentinel: str | None = None


class SessionEnded(Record):
    """A session is over, or was skipped."""

    TYPE = "session.ended"
    session_type: str
    termination: dict[str, Any] | None = None
    turns: int = 0
    """Committed turns."""
    duration: float | None = None
    skipped: str | None = None
    """The reason, for a session that was never held."""
    usage: dict[str, dict[str, Any]] | None = None
    """By side, what the whole session used, where an imported file tells nothing but the sum:
    `{calls?, prompt_tokens?, completion_tokens?, cost?}`."""


class BudgetCrossed(Record):
    """A budget was crossed, once."""

    TYPE = "budget.crossed"
    scope: Literal["conversation", "provider", "persona"] = "conversation"
    what: Literal["tokens", "cost"]
    limit: float
    used: float


class ContextSeeded(Record):
    """Messages of a warm-session template are put before the history of every session.

    A log that continues another has it again, after `history.seeded`, as it was in the first.
    """

    TYPE = "context.seeded"
    template: str
    file: str | None = None
    """Where the template stood."""
    sha256: str | None = None
    """Digest of the template's file."""
    count: int | None = None
    """How many messages there are."""
    patterns: int | None = None
    """How many of the template's patterns they show."""
    left_out: int | None = None
    """How many patterns were too many."""
    slots: dict[str, str] | None = None
    """What the template's slots were filled with."""
    addendum: str | None = None
    """Text that is added to the provider's system prompt."""
    messages: list[dict[str, Any]]
    """As they are sent, after the system prompt."""


class ContextCompressed(Record):
    """What the provider is sent of a session was replaced by a summary; what was said stays."""

    TYPE = "context.compressed"
    summary: str
    upto: int = 0
    """The last turn that the summary stands for."""
    rows_in: int = 0
    """Messages of the session before."""
    rows_out: int = 1


class ReflectionAdded(Record):
    """What the provider is to do otherwise than in an earlier attempt; in its system prompt.

    A log that continues another has it again, after `history.seeded`, and so has the log of every
    later attempt.
    """

    TYPE = "reflection.added"
    text: str
    of: int
    """The number of the attempt that it is about, from 1."""
    model: str | None = None
    """Who reflected."""
    reused: dict[str, Any] | None = None
    """Where it was first written, when nobody was asked again: `{log, seq}`."""


class ProviderOutput(Record):
    """What provider code printed, logged or warned."""

    TYPE = "provider.output"
    stream: Literal["stdout", "stderr"]
    text: str
    dropped: int | None = None
    """Characters left out because the cap was reached."""
    source: str | None = None
    """The tool server that printed it."""


class ProviderRestored(Record):
    """How a provider was brought to where the conversation stands."""

    TYPE = "provider.restored"
    mode: Literal["restore", "stateless", "replayed", "unrestored"]
    duration: float = 0.0
    answers: int | None = None
    """How many answers were asked for again, when what was said was replayed."""
    drift: list[dict[str, Any]] | None = None
    """Those that are different now: `{session, turn, what, recorded, replayed}`, `what` one of
    `text`, `tools`, `error`; of other sessions than those on record `{what: sessions, ...}`."""
    """Turns whose replayed answer differs: `{session, turn, recorded, replayed}`."""


class ProviderReloadFailed(Record):
    """A reload failed; the conversation goes on with what was there."""

    TYPE = "provider.reload_failed"
    error: dict[str, Any]


class TurnCancelled(Record):
    """The call of a turn was cancelled by hand; `partial` is what had arrived."""

    TYPE = "turn.cancelled"
    partial: str = ""
    reason: str = ""


class TurnSkipped(Record):
    """A turn was given up without being said."""

    TYPE = "turn.skipped"
    reason: str


class BudgetRaised(Record):
    """A budget was raised by hand."""

    TYPE = "budget.raised"
    scope: Literal["conversation", "provider", "persona"] = "conversation"
    what: Literal["tokens", "cost"]
    limit: float
    before: float | None = None


class ToolApproved(Record):
    """A tool call was approved by hand."""

    TYPE = "tool.approved"
    id: str
    name: str


class ToolDenied(Record):
    """A tool call was denied by hand."""

    TYPE = "tool.denied"
    id: str
    name: str
    reason: str = ""
    arguments: dict[str, Any] | None = None
    raw_arguments: str = ""


class UserClosed(Record):
    """A responder's session was closed: it remembers nothing of it any more."""

    TYPE = "user.closed"
    duration: float = 0.0
    calls: int = 0
    """How many decisions were asked for in it."""
    outcome: Literal["ok", "failed"] = "ok"
    error: dict[str, Any] | None = None


class UserCleanup(Record):
    """The simulator's `cleanup()` was called."""

    TYPE = "user.cleanup"
    duration: float
    outcome: Literal["ok", "failed"] = "ok"
    error: dict[str, Any] | None = None


class DebugHeld(Record):
    """The engine waits for a word."""

    TYPE = "debug.held"
    hold: int
    reason: HoldReason
    stage: Stage | Literal["setup", "session", "restore"]
    detail: str = ""
    drafts: list[dict[str, Any]] = []
    choices: list[dict[str, Any]] = []
    """`{id, label}` in the order in which they are offered."""
    error: dict[str, Any] | None = None


class DebugReleased(Record):
    """A hold was answered."""

    TYPE = "debug.released"
    hold: int
    choice: str
    by: Literal["human", "policy"] = "human"


class DebugEdited(Record):
    """What was held was edited; `before` is never lost."""

    TYPE = "debug.edited"
    hold: int | None = None
    field: str
    before: str
    after: str
    undoes: int | None = None
    """The `seq` of the edit that this one takes back."""
    redoes: int | None = None
    """The `seq` of an edit that was taken back and stands again."""
    left: int | None = None
    """Where one was taken back: how many edits of the turn are still in force."""


class DebugOverrode(Record):
    """A discard or an ending was overridden."""

    TYPE = "debug.overrode"
    what: Literal["discard", "ending", "empty", "error_text", "approve_tools"]
    before: Any = None
    after: Any = None
    undoes: int | None = None
    """The `seq` of the override that this one takes back."""


class DebugInjected(Record):
    """A fault was put into a call on purpose."""

    TYPE = "debug.injected"
    fault: str
    left: int | None = None
    """For how many more attempts of the side it is armed."""


class DebugTookOver(Record):
    """A human speaks for one side from here on."""

    TYPE = "debug.took_over"


class DebugHandedBack(Record):
    """The simulator (or the provider) speaks for itself again."""

    TYPE = "debug.handed_back"


class ProviderCleanup(Record):
    """`provider.cleanup()` was called."""

    TYPE = "provider.cleanup"
    duration: float
    outcome: Literal["ok", "failed"] = "ok"
    error: dict[str, Any] | None = None


class Warned(Record):
    """Something that the developer should know and that does not stop the conversation."""

    TYPE = "warning"
    message: str
    code: str = ""
    detail: dict[str, Any] | None = None
    line: int | None = None
    """Of an import: the line of the file that it is about."""


class ConversationEnded(Record):
    """The conversation is over."""

    TYPE = "conversation.ended"
    termination: dict[str, Any]


class Trailer(Record):
    """The last record of a log that was closed properly."""

    TYPE = "trailer"
    closed_at: str
    records: int
    """How many records the log has, the trailer included."""
    termination: dict[str, Any] | None = None
    totals: dict[str, Any] = {}
    truncated: bool = False


def _all(base: type[Record]) -> dict[str, type[Record]]:
    return {kind.TYPE: kind for kind in base.__subclasses__() if kind.TYPE}


RECORD_TYPES: dict[str, type[Record]] = _all(Record)
"""Every known record type by its name."""
