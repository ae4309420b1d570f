"""Endings in words."""

from __future__ import annotations

import pytest

from convtui.transcript.ending_words import ending_sentence, ending_words


@pytest.mark.parametrize(
    ("kind", "by", "words"),
    [
        ("stopped", "responder", "stopped by responder after turn 6"),
        ("completed", "simulator", "completed by simulator after turn 6"),
        ("cap_exhausted", "responder", "cap exhausted by responder after turn 6"),
        ("failed", "simulator", "failed by simulator at turn 6"),
        ("early_termination", "provider", "early termination by provider at turn 6"),
        ("max_turns", "harness", "max turns at turn 6"),
    ],
)
def test_a_simulated_user_ends_a_session_after_a_turn(kind: str, by: str, words: str) -> None:
    termination = {"kind": kind, "by": by, "at_turn": 6}
    assert ending_words(termination, nothing="") == words
    assert ending_sentence(termination, nothing="").endswith(words.partition(by)[2])
