"""Prints a conversation as lines of text, for `run` and `show`.

The printer reads the same records as every screen, live or from a file. Foreign text goes through
`visible()`, and nothing is expressed by colour alone.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TextIO

from convtui.printing.output import Output, Piece
from convtui.printing.wording import (
    budget_words,
    compressed_words,
    cut_words,
    decision_words,
    denied_words,
    describe,
    error_text,
    interim_words,
    parts_words,
    past_words,
    replayed_words,
    span,
    terminal_width,
    totals_line,
    wait_words,
    wants_color,
    warm_words,
)
from convtui.records.codec import RecordDict, address
from convtui.text.boundary import one_line, span_of_time, visible, visible_line
from convtui.text.counts import counted
from convtui.text_checks.incomplete import REASONS, in_words, reason_of
from convtui.transcript.clock import Elapsed, elapsed, elapsed_words
from convtui.transcript.corrections import (
    Correction,
    corrected_faults,
    corrected_words,
    noticed_words,
)
from convtui.transcript.fault_rules import Fault
from convtui.transcript.fold import Transcript, Turn
from convtui.transcript.turns import COMMITTED, GONE, Flag
from convtui.transcript.usage import whole_totals

__all__ = [
    "Printer",
    "describe",
    "folded",
    "print_findings",
    "print_log",
    "terminal_width",
    "totals_line",
    "wants_color",
]

if TYPE_CHECKING:
    from convtui.log.reader import Log

_MARGIN = 16
"""Columns before the text: number and speaker."""
_BOLD, _DIM, _RED, _YELLOW, _CYAN, _GREEN = "1", "2", "31", "33", "36", "32"
_AFTER_DISCARD = {
    "end": "the session ends",
    "retry": "asked again",
    "skip": "skipped, the other side goes on",
}


class Printer:
    """Prints a conversation from its records, in the order of the log.

    Turns go to `out` (None prints none), progress (if `err` is a terminal) and, with `debug`, one
    line for every hook and call go to `err`. `width` is in columns; None wraps nothing. `plain`
    prints turns without columns, for pipes and screen readers. `live` announces waits on `err`.
    """

    def __init__(
        self,
        out: TextIO | None,
        err: TextIO | None = None,
        *,
        width: int | None = None,
        color: bool = False,
        debug: bool = False,
        plain: bool = False,
        live: bool = False,
        corrections: Callable[[Turn], Correction | None] = lambda turn: None,
    ) -> None:
        self.transcript = Transcript()
        color = color and not plain
        self._out = None if out is None else Output(out, color=color)
        self._err = None if err is None else Output(err, color=color)
        self._width = None if plain else width
        self._debug = debug
        self._plain = plain
        self._live = live
        self._correction = corrections
        self._faulted: tuple[str, set[Fault]] = ("", set())
        """The turn whose faults were printed last, and the faults: a second attempt has its own."""
        self.ran: Elapsed | None = None
        """How long it ran, for the header; None while that is not known."""
        self._marks: list[tuple[str, str]] = []
        self._matches: list[dict[str, Any]] = []
        self._frames: list[str] = []
        """The traceback lines that were printed last: an ending does not repeat them."""
        self._printed = 0
        self._replied = 0
        """The number of marks when the last reply came in."""
        self._interim = 0
        """The number of texts beside tool calls already printed for the current turn."""
        self._open: tuple[int, int] | None = None
        self._progress = err is not None and not debug and not plain and err.isatty()

    # --- taking records in

    def record(self, record: RecordDict) -> None:
        """Takes the next record and prints what it completes."""
        turn = self.transcript.apply(record)
        kind = str(record.get("type"))
        number = record.get("turn")
        if isinstance(number, int):
            self._open = (int(record.get("session") or 1), number)
        if turn is not None:
            self._beside_tools(turn)
        try:
            handler = _HANDLERS.get(kind)
            if handler is not None:
                handler(self, record)
            if self._debug:
                self._debug_line(record)
        except (KeyError, TypeError, ValueError, AttributeError):
            # A record of a damaged or foreign log; `check` names what is wrong with it.
            self._line(f"(a {visible_line(kind, 40)} record that cannot be read)")
        self._show_progress(record)

    def finish(self) -> None:
        """Prints the rest of a conversation that ends without a termination."""
        self._flush("the log ends here")
        self._clear_progress()

    # --- writing

    def _line(self, text: str = "", code: str = "") -> None:
        self._pieces((text, code))

    def _pieces(self, *pieces: Piece) -> None:
        if self._out is not None:
            self._clear_progress()
            self._out.line(*pieces)

    def _block(self, text: str, first: str, rest: str, code: str = "", head: str = "") -> None:
        """Prints wrapped text; `first` precedes its first line and `rest` the others."""
        lines: list[str] = []
        for line in text.split("\n"):
            if self._width is None:
                lines.append(line)
            else:
                room = max(16, self._width - len(rest))
                lines += textwrap.wrap(line, room) or [""]
        for number, line in enumerate(lines):
            self._pieces((first, head) if number == 0 else rest, (line, code))

    def _mark(self, text: str, code: str = _DIM) -> None:
        self._marks.append((visible(text), code))

    def _flush(self, instead: str = "", *, text: str | None = None, struck: bool = False) -> None:
        """Prints the current turn: its text, then a line for each mark."""
        turn = self.transcript.find(*self._open) if self._open is not None else None
        # A turn in which nothing happened is not printed, unless that itself is the event.
        nothing = turn is not None and turn.status != COMMITTED and bool(turn.flags & Flag.EMPTY)
        if instead and not self._marks and not nothing:
            self._forget()
            return
        if turn is not None:
            self._faults(turn)
            shown = visible(turn.text if text is None else text)
            speaker = visible_line(turn.speaker, 40)
            if self._plain or self._width is None:
                first, rest = f"{turn.address} {speaker}: ", "    "
            else:
                first, rest = f"{turn.number:>4} {speaker:<9}  ", " " * _MARGIN
            color = _CYAN if turn.speaker == "persona" else _GREEN
            head = f"{_BOLD};{color}"
            if nothing or not (instead and not shown):
                if instead:
                    self._mark(instead)
                if not shown.strip():
                    shown = "(nothing)" if not shown else repr(shown)
                self._block(shown, first, rest, _DIM if struck else "", head)
                first = rest
            # A turn without text (a responder decided to stop) has only its marks.
            for mark, code in self._marks:
                self._block(mark, first, rest + "  ", code, head if first != rest else "")
                first = rest
        self._forget()

    def _beside_tools(self, turn: Turn) -> None:
        """Marks text that turned out to be beside a tool call, before the mark of the call."""
        if len(turn.interim) > self._interim:
            text = interim_words(turn.interim[-1], included=False)
            self._marks.insert(self._replied, (visible(text), _DIM))
        self._interim = len(turn.interim)

    def _faults(self, turn: Turn) -> None:
        correction = self._correction(turn)
        for text in corrected_words(correction) if correction is not None else ():
            self._mark(text, _YELLOW)
        if self._faulted[0] != turn.address:
            self._faulted = (turn.address, set())
        faults = corrected_faults(turn, correction)
        for fault in faults:
            if fault in self._faulted[1]:
                continue
            self._faulted[1].add(fault)
            self._mark(f"fault: {fault.side}, by rule {fault.rule}: {fault.why}")

    def _forget(self) -> None:
        self._marks.clear()
        self._matches = []
        self._printed = self._replied = self._interim = 0
        self._open = None

    # --- progress and stage lines

    def _clear_progress(self) -> None:
        if self._err is not None:
            self._err.clear()

    def _show_progress(self, record: RecordDict) -> None:
        if not self._progress or self._err is None:
            return
        stage = _PROGRESS.get(str(record.get("type")))
        if stage is None:
            return
        width = (self._width or 80) - 1
        where = address(record) or ""
        text = f"{record.get('t', 0.0):6.1f} s  {where} {record.get('side', '')} {stage}"
        self._err.progress(visible_line(text, width), code=_DIM)

    def _debug_line(self, record: RecordDict) -> None:
        from convtui.printing.stage_lines import stage_line

        text = stage_line(record)
        if text is None or self._err is None:
            return
        where = " ".join(filter(None, (address(record), str(record.get("side") or ""))))
        line = f"{record.get('t', 0.0):8.3f} {where + ' ' if where else ''}{text}"
        self._err.line(visible_line(line))

    # --- one method a record type

    def _header(self, record: RecordDict) -> None:
        provider = record.get("provider") or {}
        arrow = "->" if self._plain else "→"
        name = provider.get("spec") or provider.get("name") or "?"
        versions = ", ".join(
            f"{k} {v}" for k, v in (record.get("environment") or {}).items() if k != "platform"
        )
        title = f"{visible_line(str(record.get('persona')))} {arrow} {visible_line(str(name))}"
        self._line(title, _BOLD)
        facts = [str(record.get("created_at", ""))[:19].replace("T", " ") + " UTC"]
        facts += [str(record.get("id", "")), versions]
        if self.ran is not None:
            facts.insert(1, f"ran {elapsed_words(self.ran)}")
        self._line(visible_line("  ".join(filter(None, facts))), _DIM)
        for parent in record.get("parents") or ():
            change = (record.get("change") or {}).get("kind") or "continues"
            origin = f"{change} of {parent.get('id')} after its record {parent.get('seq')}"
            self._line(visible_line(f"{origin}: {parent.get('file')}"), _DIM)

    def _seeded(self, record: RecordDict) -> None:
        turns = self.transcript.turns
        said = len(record["turns"])
        more = len(turns) - said
        not_said = f", and {more} that {'was' if more == 1 else 'were'} not said" if more else ""
        if not self.transcript.past_known:
            not_said = "; what was dropped or skipped there is only in its log"
        self._line(f"{counted(said, 'turn')} taken over from the parent{not_said}", _DIM)
        for turn in turns:
            self._open = (turn.session, turn.number)
            for words in past_words(turn):
                self._mark(words, _YELLOW)
            self._flush(struck=turn.status == GONE)

    def _warm(self, record: RecordDict) -> None:
        warm = (str(record["template"]), len(record["messages"]))
        added = " and text for the system prompt" if record.get("addendum") else ""
        self._line(f"+ {warm_words(warm)}{added}, before the history of every session", _DIM)

    def _session(self, record: RecordDict) -> None:
        self._flush("the turn was not finished")
        index = record["session"]
        total = len(self.transcript.prepared)
        name = f"session {index}{f' of {total}' if total > 1 else ''}: {record['session_type']}"
        first = f"{record.get('first_speaker')} first"
        if record.get("max_turns") is not None:
            first += f", up to {counted(record['max_turns'], 'turn')}"
        self._line()
        self._line(visible_line(f"{name} ({first})"), _BOLD)

    def _session_ended(self, record: RecordDict) -> None:
        self._flush("the turn was not finished")
        name = visible_line(f"session {record['session']} {record.get('session_type') or ''}")
        if record.get("skipped"):
            self._line(f"{name} skipped: {visible_line(str(record['skipped']))}", _YELLOW)
        else:
            self._line(f"{name} ended: {describe(record.get('termination'))}", _YELLOW)

    def _ended(self, record: RecordDict) -> None:
        self._flush("the turn was not finished")
        self._line()
        self._line(f"conversation ended: {describe(record.get('termination'))}", _BOLD)
        self._failure(record.get("termination") or {})
        self._line(totals_line(whole_totals(self.transcript)))

    def _failure(self, termination: Mapping[str, Any]) -> None:
        detail = termination.get("detail")
        frames = detail.get("frames") if isinstance(detail, dict) else None
        if isinstance(frames, list) and frames != self._frames:
            for frame in frames:
                self._line("  " + visible(str(frame).rstrip("\n")))

    def _started(self, record: RecordDict) -> None:
        if self._marks and record.get("attempt", 1) > 1:
            self._mark(f"attempt {record['attempt']}")
        if record.get("human"):
            self._mark("spoken by a human")

    def _setup(self, record: RecordDict) -> None:
        if record.get("outcome") == "failed":
            error = record.get("error") or {}
            self._line(error_text(error), _RED)
            self._frames = error.get("frames") or []
            for frame in self._frames:
                self._line("  " + visible(str(frame).rstrip("\n")))

    def _lifecycle(self, record: RecordDict) -> None:
        if record.get("outcome") == "failed":
            self._line(f"{record['type']} failed: {error_text(record.get('error'))}", _RED)

    def _retry(self, record: RecordDict) -> None:
        why = error_text(record["error"])
        self._mark(f"retry {record['n']} after {span_of_time(record['delay'])}: {why}")
        if self._live and not self._debug and self._err is not None and record["delay"]:
            self._clear_progress()
            attempt, attempts = record["n"] + 1, record.get("attempts")
            self._err.line(wait_words(record["delay"], attempt, attempts, why))
            self._err.flush()

    def _response(self, record: RecordDict) -> None:
        self._replied = len(self._marks)
        reason = reason_of(record)
        if reason:
            text = in_words(reason, record.get("finish_reason"))
            self._mark(f"incomplete: {text}", _YELLOW)
        for text in parts_words(record):
            self._mark(text)

    def _failed(self, record: RecordDict) -> None:
        self._mark(f"error: {error_text(record['error'])}", _RED)
        if record.get("partial"):
            self._mark(f"incomplete: {REASONS['stream_died']}", _YELLOW)
        self._frames = record["error"].get("frames") or []
        for frame in self._frames:
            self._mark("  " + str(frame).rstrip("\n"))

    def _held(self, record: RecordDict) -> None:
        self._mark(f"held at {record['stage']}: {record['reason']} {record.get('detail') or ''}")
        if record.get("error"):
            self._failed(record)

    def _tool(self, record: RecordDict) -> None:
        arguments = record.get("arguments")
        shown = record.get("raw_arguments") if arguments is None else arguments
        self._mark(f"tool {record['name']} {one_line(str(shown), 120)}")

    def _tool_result(self, record: RecordDict) -> None:
        if record["ok"]:
            self._mark(f"tool {record['name']} returned {one_line(str(record.get('result')), 120)}")
        else:
            why = (
                f"{record.get('error_kind') or 'error'}: {one_line(str(record.get('result')), 120)}"
            )
            self._mark(f"tool {record['name']} failed: {why}", _RED)

    def _decided(self, record: RecordDict) -> None:
        wrong = record["kind"] in ("abstain", "error")
        self._mark(decision_words(record), _RED if wrong else _DIM)

    def _signals(self, record: RecordDict) -> None:
        self._matches = list(record["matches"])

    def _processed(self, record: RecordDict) -> None:
        changed = ("raw differs from shown", _YELLOW)
        if changed in self._marks:
            self._marks.remove(changed)
        if record["changed"]:
            self._marks.append(changed)

    def _output(self, record: RecordDict) -> None:
        dropped = record.get("dropped")
        if dropped and not record["text"]:
            self._line(f"the provider printed {dropped:,} characters more than are kept", _YELLOW)
            return
        if self._open is None:
            lines = record["text"].count("\n") + (not record["text"].endswith("\n"))
            self._line(f"provider printed {counted(lines, 'line')} ({record['stream']})", _DIM)
        else:
            self._printed += max(1, record["text"].count("\n"))

    def _discarded(self, record: RecordDict) -> None:
        after = _AFTER_DISCARD.get(str(record.get("outcome")), str(record.get("outcome")))
        spans = ", ".join(map(span, record["signals"] or self._matches)) or "no signal"
        self._mark(f"discarded: signal {spans} by {record['hook']}; {after}", _RED)
        if record.get("error_text"):
            self._mark(f"the reply is the text of an error: {record['error_text']}", _RED)
        self._about(record)
        self._flush(text=record["text"], struck=True)

    def _inactive(self, record: RecordDict) -> None:
        self._mark(f"inactive ({record.get('reason') or 'no more in the history'})", _YELLOW)
        self._about(record)
        self._flush(text=record["text"], struck=True)

    def _committed(self, record: RecordDict) -> None:
        if self._matches:
            counts = any(match.get("counts") is not False for match in self._matches)
            text = f"signal {', '.join(map(span, self._matches))}"
            self._mark(text, _YELLOW if counts else _DIM)
        if record.get("error_text"):
            self._mark(f"the reply is the text of an error: {record['error_text']}", _RED)
        if record.get("reasoning_cut"):
            self._mark(cut_words(record["reasoning_cut"], str(record["speaker"])))
        for name, text in _COMMIT_WORDS.items():
            if record.get(name):
                self._mark(text, _YELLOW)
        for entry in record.get("flags") or ():
            self._mark(one_line(noticed_words(entry), 200), _YELLOW)
        if record.get("would_have"):
            self._mark(f"would have {_WOULD.get(record['would_have'], 'ended here')}", _YELLOW)
        self._about(record)
        self._flush(text=record["text"])

    def _about(self, record: RecordDict) -> None:
        if self._printed:
            self._mark(f"provider printed {counted(self._printed, 'line')}")

    def _user_ended(self, record: RecordDict) -> None:
        dropped = record.get("dropped_text")
        if dropped:
            self._mark(f"not said: {one_line(dropped, 200)}")
        self._mark(f"the user simulator ended it: {record['reason']}")
        if dropped or len(self._marks) > 1:
            self._flush(text="")
        else:
            self._line(visible_line(f"user simulator {record['simulator']}: {record['reason']}"))
            self._forget()

    def _cancelled(self, record: RecordDict) -> None:
        self._mark(f"cancelled by hand {record.get('reason') or ''}".rstrip(), _YELLOW)

    def _skipped(self, record: RecordDict) -> None:
        reason = str(record["reason"])
        # What a human did is "skipped by hand" already.
        skipped = reason if reason.startswith("skipped") else f"skipped: {reason}"
        self._mark(f"turn {skipped}", _YELLOW)
        self._flush()

    def _edited(self, record: RecordDict) -> None:
        done = "edit taken back" if record.get("undoes") is not None else "edited by hand"
        self._mark(f"{record['field']} {done}", _YELLOW)

    def _overrode(self, record: RecordDict) -> None:
        taken_back = record.get("undoes") is not None
        done = "override taken back" if taken_back else "overridden by hand"
        self._mark(f"{record['what']} {done}", _YELLOW)

    def _injected(self, record: RecordDict) -> None:
        self._mark(f"fault injected: {record['fault']}", _YELLOW)

    def _budget(self, record: RecordDict) -> None:
        self._mark(budget_words(record), _YELLOW)

    def _denied(self, record: RecordDict) -> None:
        self._mark(denied_words(record), _YELLOW)

    def _compressed(self, record: RecordDict) -> None:
        self._line(compressed_words(record), _DIM)

    def _restored(self, record: RecordDict) -> None:
        text = replayed_words(record)
        if text:
            self._line(text, _YELLOW if record.get("drift") else _DIM)

    def _warning(self, record: RecordDict) -> None:
        if self._open is None:
            self._line(f"warning: {visible(str(record['message']))}", _YELLOW)
        else:
            self._mark(f"warning: {record['message']}", _YELLOW)


_COMMIT_WORDS: Final = {
    "empty": "empty reply",
    "truncated": "truncated: the tool rounds were used up",
    "human": "spoken by a human",
    "edited": "edited by hand",
}
_WOULD: Final = {"end": "ended here", "discard": "been discarded"}
_PROGRESS: Final = {
    "turn.started": "begins",
    "llm.request": "waits for the reply",
    "llm.partial": "is answering",
    "llm.retry": "tries again",
    "tool.called": "calls a tool",
    "debug.held": "is held",
}
_HANDLERS: Final[Mapping[str, Callable[[Printer, RecordDict], None]]] = {
    "header": Printer._header,
    "history.seeded": Printer._seeded,
    "provider.setup": Printer._setup,
    "session.entered": Printer._lifecycle,
    "session.reset": Printer._lifecycle,
    "session.started": Printer._session,
    "session.ended": Printer._session_ended,
    "turn.started": Printer._started,
    "llm.response": Printer._response,
    "llm.retry": Printer._retry,
    "llm.failed": Printer._failed,
    "tool.called": Printer._tool,
    "tool.returned": Printer._tool_result,
    "signals.extracted": Printer._signals,
    "response.processed": Printer._processed,
    "turn.discarded": Printer._discarded,
    "turn.inactive": Printer._inactive,
    "turn.committed": Printer._committed,
    "turn.cancelled": Printer._cancelled,
    "turn.skipped": Printer._skipped,
    "user.decided": Printer._decided,
    "user.ended": Printer._user_ended,
    "budget.crossed": Printer._budget,
    "budget.raised": Printer._budget,
    "context.seeded": Printer._warm,
    "context.compressed": Printer._compressed,
    "provider.restored": Printer._restored,
    "tool.denied": Printer._denied,
    "provider.output": Printer._output,
    "provider.cleanup": Printer._lifecycle,
    "user.cleanup": Printer._lifecycle,
    "debug.held": Printer._held,
    "debug.edited": Printer._edited,
    "debug.overrode": Printer._overrode,
    "debug.injected": Printer._injected,
    "warning": Printer._warning,
    "conversation.ended": Printer._ended,
}


def print_log(
    log: Log,
    out: TextIO,
    err: TextIO,
    *,
    width: int | None = None,
    color: bool = False,
    plain: bool = False,
    debug: bool = False,
) -> None:
    """Prints a log for people: header, sessions and turns, terminations, usage.

    Findings go to `err`.
    """
    from convtui.log.notes import Notes

    notes = Notes(log.path)

    def corrections(turn: Turn) -> Correction:
        return notes.on(turn.session, turn.number)

    printer = Printer(
        out,
        err,
        width=width,
        color=color,
        plain=plain,
        debug=debug,
        corrections=corrections,
    )
    printer._progress = False
    printer.ran = elapsed(log.transcript)
    for record in log.records():
        printer.record(record)
    printer.finish()
    if log.transcript.termination is None:
        state = "still running" if log.running else "crashed, or was killed, before it ended"
        Output(out).line(f"\nconversation: {state}\n{totals_line(whole_totals(log.transcript))}")
    print_findings(log, err)


def print_findings(log: Log, err: TextIO) -> None:
    """Prints the findings of a log to `err`, one a line."""
    output = Output(err)
    for finding in log.findings:
        output.line(f"convtui: {visible_line(str(log.path))}: {visible_line(str(finding))}")


def folded(log: Log) -> dict[str, Any]:
    """The log as one JSON document; see `convtui.log.transcript_json`."""
    from convtui.log.transcript_json import folded as fold

    return fold(log)
