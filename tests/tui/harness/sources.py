"""Transcripts and turn details made of records, as a log would have them."""

from __future__ import annotations

import random
from typing import Any

from convtui.log.detail import TurnDetail, sort_records
from convtui.transcript.fold import Transcript, Turn

Record = dict[str, Any]


class Story:
    """Records in order, folded as they are told."""

    def __init__(self) -> None:
        self.transcript = Transcript()
        self.records: list[Record] = []
        self.session = 1
        self.number = 0

    def tell(self, kind: str, /, **fields: Any) -> Turn | None:
        """One record."""
        record = {"seq": len(self.records), "t": len(self.records) * 0.1, "type": kind, **fields}
        self.records.append(record)
        return self.transcript.apply(record)

    def begin(self, session_type: str = "intake", first_speaker: str = "persona") -> None:
        """A session starts."""
        self.session = len(self.transcript.sessions) + 1
        self.number = 0
        self.tell("session.entered", session=self.session, session_type=session_type, duration=0.1)
        self.tell(
            "session.started",
            session=self.session,
            session_type=session_type,
            first_speaker=first_speaker,
            max_turns=20,
        )

    def end(self, kind: str = "max_turns", by: str = "harness", **more: Any) -> None:
        """The session ends."""
        ending = {"kind": kind, "by": by, "reason": "20 turns", "at_turn": self.number, **more}
        self.tell("session.ended", session=self.session, session_type="", termination=ending)

    def skip(self, session_type: str, reason: str) -> None:
        """A session that is never held."""
        self.session = len(self.transcript.sessions) + 1
        self.tell("session.ended", session=self.session, session_type=session_type, skipped=reason)

    def on(self, kind: str, /, **fields: Any) -> Turn | None:
        """A record of the turn in hand."""
        return self.tell(kind, session=self.session, turn=self.number, **fields)

    def open(self, speaker: str = "provider", **fields: Any) -> int:
        """A turn begins and asks; returns its call."""
        self.number += 1
        self.on("turn.started", speaker=speaker, **fields)
        call = len(self.records)
        self.on(
            "llm.request",
            side=speaker,
            append=[{"role": "user", "content": "hello"}],
            params={"temperature": 0.2},
            model="openai/gpt-4o-mini",
            sha256="0",
        )
        return call

    def reply(
        self,
        raw: str,
        shown: str | None = None,
        *,
        speaker: str = "provider",
        matches: list[Record] | None = None,
        commit: bool = True,
        **fields: Any,
    ) -> None:
        """A whole turn of one speaker."""
        call = self.open(speaker)
        self.on(
            "llm.response",
            side=speaker,
            call=call,
            raw=raw,
            duration=0.512,
            ttft=0.21,
            usage={"prompt_tokens": 120, "completion_tokens": 88},
        )
        self.finish(raw, shown, speaker=speaker, matches=matches, commit=commit, **fields)

    def finish(
        self,
        raw: str,
        shown: str | None = None,
        *,
        speaker: str = "provider",
        matches: list[Record] | None = None,
        commit: bool = True,
        **fields: Any,
    ) -> None:
        """The stages after a reply."""
        shown = raw if shown is None else shown
        signals = matches or []
        self.on("signals.extracted", matches=signals, hook="default")
        self.on(
            "response.processed",
            text=shown,
            changed=shown != raw,
            hook="yours" if shown != raw else "default",
            duration=0.001,
        )
        if commit:
            self.on(
                "turn.committed", speaker=speaker, text=shown, words=len(shown.split()), **fields
            )
        else:
            self.on(
                "turn.discarded",
                speaker=speaker,
                text=shown,
                raw=raw,
                signals=signals,
                hook="should_discard_response",
                outcome="skip",
                **fields,
            )

    def detail(self, turn: Turn) -> TurnDetail:
        """The records of a turn, sorted."""
        own = [
            record
            for record in self.records
            if record.get("session") == turn.session and record.get("turn") == turn.number
        ]
        return sort_records(turn.session, turn.number, turn.speaker, own)


def match(signal: str, start: int, end: int | None = None) -> Record:
    """A signal match."""
    end = start + len(signal) if end is None else end
    return {"signal": signal, "matched": signal, "start": start, "end": end}


def ferry() -> Story:
    """A conversation in which most of what can happen happens."""
    story = Story()
    story.tell("header", id="f1", persona="maya", provider={"name": "my_provider.py:Bot"})
    story.tell("provider.setup", duration=0.02, outcome="ok")
    story.tell(
        "sessions.prepared", requested=["intake", "coaching"], prepared=["intake", "coaching"]
    )
    story.begin("intake")
    story.reply("Hi, my ferry was cancelled and nobody told me.", speaker="persona")
    story.reply(
        "<think>refund policy</think>I am sorry to hear that. Which trip was it, and when were "
        "you meant to leave? I can look the booking up with its number or with your name.",
        "I am sorry to hear that. Which trip was it, and when were you meant to leave? I can look "
        "the booking up with its number or with your name.",
    )
    story.reply("Order 17, the nine o'clock from Gedser. 渡し船が欠航しました。", speaker="persona")
    call = story.open("provider")
    story.on("tool.called", side="provider", id="t1", name="find_trip", arguments={"order": 17})
    story.on("tool.returned", id="t1", name="find_trip", ok=False, result="no such order")
    story.on("provider.output", stream="stdout", text="looking up 17\n")
    story.on("llm.retry", side="provider", call=call, n=1, delay=0.7, error={"message": "429"})
    story.on("llm.response", side="provider", call=call, raw="There is no order 17.", duration=1.2)
    story.finish("There is no order 17.")
    story.end("early_termination", "persona", signal="<END>", reason="signal <END>")
    story.tell("session.reset", next_session_type="coaching", duration=0.01, outcome="ok")
    story.begin("coaching", "provider")
    story.reply("Welcome back, Maya. Shall we go on where we stopped?")
    story.reply("I was told to call back about my refund.", speaker="persona", human=True)
    story.reply(
        "[[ERROR]] upstream failed with status 503, try again later",
        matches=[match("[[ERROR]]", 0)],
        commit=False,
    )
    story.reply("…", speaker="persona", empty=True)
    call = story.open("provider")
    story.on(
        "llm.response", side="provider", call=call, raw="Of course. [[DONE]] bye", duration=0.5
    )
    story.on("signals.extracted", matches=[match("[[DONE]]", 11)])
    story.on("response.processed", text="Of course. [[DONE]] bye", changed=False)
    story.on("debug.held", hold=1, reason="step", stage="post_process", detail="step", drafts=[])
    return story


def many(count: int, words: int = 60, per_session: int = 0) -> Transcript:
    """A long transcript, one in fifty turns of interest, made without the fold."""
    rng = random.Random(1)
    lexicon = ["lorem", "ipsum", "dolor", "sit", "amet", "of", "the", "ferry", "refund,", "order."]
    texts = [" ".join(rng.choice(lexicon) for _ in range(words)) for _ in range(200)]
    transcript = Transcript()
    size = per_session or count
    for index in range(count):
        session, number = divmod(index, size)
        record: Record = {"session": session + 1, "turn": number + 1}
        if number == 0:
            transcript.apply(
                {"type": "session.started", "session": session + 1, "session_type": "s"}
            )
        speaker = "provider" if index % 2 else "persona"
        text = f"{index} {texts[index % 200]}"
        record |= {"type": "turn.committed", "speaker": speaker, "text": text, "words": words}
        if index % 50 == 49:
            record["edited"] = True
        transcript.apply(record)
    return transcript
