"""Terminations of failures, and logs that are closed by force."""

from __future__ import annotations

from pathlib import Path

import pytest

from convtui.engine.conversation.endings import Endings
from convtui.engine.conversation.session_records import SessionRecords
from convtui.engine.core.journal import Journal
from convtui.engine.core.state import ConversationState
from convtui.errors import (
    ConversationError,
    HookError,
    ProviderError,
    ToolError,
    UserSimulatorError,
)
from convtui.log.reader import open_log
from convtui.log.writer import LogWriter
from convtui.records.models import Side
from tests.builders.conversations import scenario
from tests.builders.logs import header


def endings(path: Path) -> tuple[Endings, Journal]:
    journal = Journal(LogWriter(path))
    state = ConversationState(scenario())
    state.prepared = ["first", "second"]
    records = SessionRecords(journal, state)
    made = Endings(journal=journal, state=state, sessions=records, redact=str, inherited=3)
    return made, journal


@pytest.mark.parametrize(
    ("error", "side", "by", "category"),
    [
        (ProviderError("x"), "provider", "provider", "provider"),
        (ProviderError("x"), "persona", "simulator", "user_simulator"),
        (HookError("x", hook="cleanup"), "persona", "simulator", "user_simulator"),
        (UserSimulatorError("x"), "persona", "simulator", "user_simulator"),
        (ToolError("x"), "provider", "harness", "tool"),
    ],
)
def test_whose_failure_an_error_is(
    error: ConversationError, side: Side, by: str, category: str, tmp_path: Path
) -> None:
    made, journal = endings(tmp_path / "a.jsonl")
    journal.current.move_to(1, turn=2, side=side)
    termination = made.failed(error)
    journal.writer.abandon()
    assert (termination.kind, termination.by, termination.at_turn) == ("failed", by, 2)
    assert termination.detail is not None and termination.detail["category"] == category


def test_the_first_reason_of_a_forced_end_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    made, journal = endings(path)
    journal.emit(header())
    made.force_close("first", kind="failed", by="provider")
    made.force_close("second")
    with open_log(path) as log:
        assert log.findings == []
        assert log.transcript.termination is not None
        assert log.transcript.termination["reason"] == "first"
        assert [s.skipped for s in log.transcript.sessions] == [
            "the conversation ended: failed"
        ] * 2


def test_a_log_without_records_is_deleted(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    made, _ = endings(path)
    made.force_close("too early")
    assert not path.exists()
