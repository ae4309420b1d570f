"""Prints a conversation as lines of text, for `run` and `show`.

The printer reads the same records as every screen, live or from a file. Foreign text goes through
`visible()`, and nothing is expressed by colour alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TextIO

from convtui.printing.marks import MARKS, Mark, commit_marks, discard_marks, failure_marks
from convtui.printing.output import BOLD, DIM, RED, YELLOW
from convtui.printing.page import Page, SaidTurn
from convtui.printing.wording import (
    compressed_words,
    describe,
    error_text,
    interim_words,
    past_words,
    replayed_words,
    totals_line,
    wait_words,
    warm_words,
)
from convtui.records.codec import REFLEXION, RecordDict
from convtui.records.values import as_object
from convtui.text.boundary import one_line, span_of_time, visible, visible_line
from convtui.text.counts import counted
from convtui.transcript.clock import Elapsed, elapsed_words
from convtui.transcript.corrections import (
    Correction,
    corrected_faults,
    corrected_words,
)
from convtui.transcript.fault_rules import Fault
from convtui.transcript.fold import Transcript, Turn
from convtui.transcript.turns import COMMITTED, GONE, Flag
from convtui.transcript.usage import whole_totals


class Printer:
    """Prints a conversation from its records, in the order of the log.

    Turns go to `out` (None prints none), progress (if `err` is a terminal) and, with `debug`, one
    line for every hook and call go to `err`. `width` is in columns; None wraps nothing. `plain`
    prints turns without columns, for pipes and screen readers. `live` announces waits on `err`.
    Without `tools` tool calls leave no marks. `page` takes everything instead of `out` and `err`.
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
        tools: bool = True,
        page: Page | None = None,
        corrections: Callable[[Turn], Correction | None] = lambda turn: None,
    ) -> None:
        self.transcript = Transcript()
        color = color and not plain
        progress = err is not None and not debug and not plain and err.isatty()
        width = None if plain else width
        self.page = page or Page(out, err, width=width, color=color, progress=progress, plain=plain)
        self._debug = debug
        self._plain = plain
        self._live = live
        self._tools = tools
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
        self._said: tuple[int, int] | None = None
        """The turn whose text was printed last: what is done with it later has rows without it."""

    # --- taking records in

    def record(self, record: RecordDict) -> None:
        """Takes the next record and prints what it completes."""
        turn = self.transcript.apply(record)
        kind = str(record.get("type"))
        number = record.get("turn")
        if isinstance(number, int):
            place = (int(record.get("session") or 1), number)
            if self._marks and self._open == self._said != place:
                # What was done with a turn after it was said.
                self._flush()
            self._open = place
        if turn is not None:
            self._beside_tools(turn)
        try:
            handler = _HANDLERS.get(kind)
            if handler is not None:
                handler(self, record)
            if kind in MARKS and (self._tools or not kind.startswith("tool.")):
                self._add(MARKS[kind](record))
            if self._debug:
                self.page.stage_line(record)
        except (KeyError, TypeError, ValueError, AttributeError):
            # A record of a damaged or foreign log; `check` names what is wrong with it.
            self.page.line(f"(a {visible_line(kind, 40)} record that cannot be read)")
        self.page.show_progress(record)

    def finish(self) -> None:
        """Prints the rest of a conversation that ends without a termination."""
        self._flush("the log ends here")
        self.page.clear_progress()

    def _mark(self, text: str, code: str = DIM) -> None:
        self._marks.append((visible(text), code))

    def _add(self, marks: Iterable[Mark]) -> None:
        for text, code in marks:
            self._mark(text, code)

    def _flush(self, instead: str = "", *, text: str | None = None, struck: bool = False) -> None:
        """Prints the current turn: its text, then a line for each mark."""
        turn = self.transcript.find(*self._open) if self._open is not None else None
        # A turn in which nothing happened is not printed, unless that itself is the event.
        nothing = turn is not None and turn.status != COMMITTED and bool(turn.flags & Flag.EMPTY)
        again = turn is not None and (turn.session, turn.number) == self._said and text is None
        replied = turn is not None and bool(turn.text) and not again
        if (instead or again) and not self._marks and not (nothing or replied):
            self._forget()
            return
        if turn is not None and again:
            self.page.turn(SaidTurn(turn, None, struck, tuple(self._marks)))
        elif turn is not None:
            self._faults(turn)
            shown = visible(turn.text if text is None else text)
            said = nothing or not (instead and not shown)
            if said and instead:
                self._mark(instead)
            if not shown.strip():
                shown = "(nothing)" if not shown else repr(shown)
            # A turn without text (a responder decided to stop) has only its marks.
            self.page.turn(SaidTurn(turn, shown if said else None, struck, tuple(self._marks)))
            self._said = (turn.session, turn.number)
        self._forget()

    def _beside_tools(self, turn: Turn) -> None:
        """Marks text that turned out to be beside a tool call, before the mark of the call."""
        if len(turn.interim) > self._interim:
            text = interim_words(turn.interim[-1], included=False)
            self._marks.insert(self._replied, (visible(text), DIM))
        self._interim = len(turn.interim)

    def _faults(self, turn: Turn) -> None:
        correction = self._correction(turn)
        for text in corrected_words(correction) if correction is not None else ():
            self._mark(text, YELLOW)
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

    # --- one method a type of record

    def _header(self, record: RecordDict) -> None:
        provider = record.get("provider") or {}
        arrow = "->" if self._plain else "→"
        name = provider.get("spec") or provider.get("name") or "?"
        versions = ", ".join(
            f"{k} {v}" for k, v in (record.get("environment") or {}).items() if k != "platform"
        )
        title = f"{visible_line(str(record.get('persona')))} {arrow} {visible_line(str(name))}"
        self.page.line(title, BOLD)
        imported = as_object(record.get("imported"))
        zone = " (no time zone in the file)" if imported.get("created_at_zone") else " UTC"
        facts = [str(record.get("created_at", ""))[:19].replace("T", " ") + zone]
        facts += [str(record.get("id", "")), versions]
        if self.ran is not None:
            facts.insert(1, f"ran {elapsed_words(self.ran)}")
        self.page.line(visible_line("  ".join(filter(None, facts))), DIM)
        for parent in record.get("parents") or ():
            change = (record.get("change") or {}).get("kind") or "continues"
            origin = f"{change} of {parent.get('id')} after its record {parent.get('seq')}"
            if change == REFLEXION:
                number = (record.get("change") or {}).get("attempt")
                origin = f"attempt {number} at the conversation of {parent.get('id')}"
            self.page.line(visible_line(f"{origin}: {parent.get('file')}"), DIM)

    def _seeded(self, record: RecordDict) -> None:
        turns = self.transcript.turns
        said = len(record["turns"])
        more = len(turns) - said
        not_said = f", and {more} that {'was' if more == 1 else 'were'} not said" if more else ""
        if not self.transcript.past_known:
            not_said = "; what was dropped or skipped there is only in its log"
        self.page.line(f"{counted(said, 'turn')} taken over from the parent{not_said}", DIM)
        for turn in turns:
            self._open = (turn.session, turn.number)
            for words in past_words(turn):
                self._mark(words, YELLOW)
            self._flush(struck=turn.status == GONE)

    def _warm(self, record: RecordDict) -> None:
        warm = (str(record["template"]), len(record["messages"]))
        added = " and text for the system prompt" if record.get("addendum") else ""
        self.page.line(f"+ {warm_words(warm)}{added}, before the history of every session", DIM)

    def _reflection(self, record: RecordDict) -> None:
        first, rest = f"after attempt {record['of']}: ", "    "
        self.page.block(visible(record["text"]), first, rest, "", DIM)

    def _session(self, record: RecordDict) -> None:
        self._flush("the turn was not finished")
        index = record["session"]
        total = len(self.transcript.prepared)
        name = f"session {index}{f' of {total}' if total > 1 else ''}: {record['session_type']}"
        first = f"{record.get('first_speaker')} first"
        if record.get("max_turns") is not None:
            first += f", up to {counted(record['max_turns'], 'turn')}"
        self.page.line()
        self.page.line(visible_line(f"{name} ({first})"), BOLD)

    def _session_ended(self, record: RecordDict) -> None:
        self._flush("the turn was not finished")
        name = visible_line(f"session {record['session']} {record.get('session_type') or ''}")
        if record.get("skipped"):
            self.page.line(f"{name} skipped: {visible_line(str(record['skipped']))}", YELLOW)
        else:
            self.page.line(f"{name} ended: {describe(record.get('termination'))}", YELLOW)

    def _ended(self, record: RecordDict) -> None:
        self._flush("the turn was not finished")
        self.page.line()
        self.page.line(f"conversation ended: {describe(record.get('termination'))}", BOLD)
        self._failure(record.get("termination") or {})
        self.page.line(totals_line(whole_totals(self.transcript)))

    def _failure(self, termination: Mapping[str, Any]) -> None:
        detail = termination.get("detail")
        frames = detail.get("frames") if isinstance(detail, dict) else None
        if isinstance(frames, list) and frames != self._frames:
            for frame in frames:
                self.page.line("  " + visible(str(frame).rstrip("\n")))

    def _started(self, record: RecordDict) -> None:
        if self._marks and record.get("attempt", 1) > 1:
            self._mark(f"attempt {record['attempt']}")

    def _setup(self, record: RecordDict) -> None:
        if record.get("outcome") == "failed":
            error = record.get("error") or {}
            self.page.line(error_text(error), RED)
            self._frames = error.get("frames") or []
            for frame in self._frames:
                self.page.line("  " + visible(str(frame).rstrip("\n")))

    def _lifecycle(self, record: RecordDict) -> None:
        if record.get("outcome") == "failed":
            self.page.line(f"{record['type']} failed: {error_text(record.get('error'))}", RED)

    def _retry(self, record: RecordDict) -> None:
        why = error_text(record["error"])
        self._mark(f"retry {record['n']} after {span_of_time(record['delay'])}: {why}")
        if self._live and not self._debug and record["delay"]:
            attempt, attempts = record["n"] + 1, record.get("attempts")
            self.page.announce(wait_words(record["delay"], attempt, attempts, why))

    def _response(self, record: RecordDict) -> None:
        self._replied = len(self._marks)

    def _failed(self, record: RecordDict) -> None:
        self._add(failure_marks(record))
        self._frames = record["error"].get("frames") or []

    def _held(self, record: RecordDict) -> None:
        self._mark(f"held at {record['stage']}: {record['reason']} {record.get('detail') or ''}")
        if record.get("error"):
            self._failed(record)

    def _signals(self, record: RecordDict) -> None:
        self._matches = list(record["matches"])

    def _processed(self, record: RecordDict) -> None:
        changed = ("raw differs from shown", YELLOW)
        if changed in self._marks:
            self._marks.remove(changed)
        if record["changed"]:
            self._marks.append(changed)

    def _output(self, record: RecordDict) -> None:
        dropped = record.get("dropped")
        if dropped and not record["text"]:
            self.page.line(
                f"the provider printed {dropped:,} characters more than are kept", YELLOW
            )
            return
        if self._open is None:
            lines = record["text"].count("\n") + (not record["text"].endswith("\n"))
            self.page.line(f"provider printed {counted(lines, 'line')} ({record['stream']})", DIM)
        else:
            self._printed += max(1, record["text"].count("\n"))

    def _discarded(self, record: RecordDict) -> None:
        self._add(discard_marks(record, self._matches))
        self._about(record)
        self._flush(text=record["text"], struck=True)

    def _inactive(self, record: RecordDict) -> None:
        self._mark(f"inactive ({record.get('reason') or 'no more in the history'})", YELLOW)
        self._about(record)
        self._flush(text=record["text"], struck=True)

    def _committed(self, record: RecordDict) -> None:
        self._add(commit_marks(record, self._matches))
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
            self.page.line(
                visible_line(f"user simulator {record['simulator']}: {record['reason']}")
            )
            self._forget()

    def _skipped(self, record: RecordDict) -> None:
        reason = str(record["reason"])
        # What a human did is "skipped by hand" already.
        skipped = reason if reason.startswith("skipped") else f"skipped: {reason}"
        self._mark(f"turn {skipped}", YELLOW)
        self._flush()

    def _compressed(self, record: RecordDict) -> None:
        self.page.line(compressed_words(record), DIM)

    def _restored(self, record: RecordDict) -> None:
        text = replayed_words(record)
        if text:
            self.page.line(text, YELLOW if record.get("drift") else DIM)

    def _warning(self, record: RecordDict) -> None:
        if self._open is None:
            self.page.line(f"warning: {visible(str(record['message']))}", YELLOW)
        else:
            self._mark(f"warning: {record['message']}", YELLOW)


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
    "signals.extracted": Printer._signals,
    "response.processed": Printer._processed,
    "turn.discarded": Printer._discarded,
    "turn.inactive": Printer._inactive,
    "turn.committed": Printer._committed,
    "turn.skipped": Printer._skipped,
    "user.ended": Printer._user_ended,
    "context.seeded": Printer._warm,
    "context.compressed": Printer._compressed,
    "reflection.added": Printer._reflection,
    "provider.restored": Printer._restored,
    "provider.output": Printer._output,
    "provider.cleanup": Printer._lifecycle,
    "user.cleanup": Printer._lifecycle,
    "debug.held": Printer._held,
    "warning": Printer._warning,
    "conversation.ended": Printer._ended,
}
