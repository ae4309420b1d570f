"""What all exporters share: the rounds of a turn, what is left out, and files that are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from convtui.errors import FileError
from convtui.log.formats.export_fold import (
    ExportFold,
    Round,
    add_usage,
    refuse_existing,
    system_prompt,
)
from convtui.log.reader import open_log
from convtui.records.codec import RecordDict
from convtui.records.models import LlmResponse, ToolCalled, ToolReturned, TurnInactive, Warned
from tests.builders.logs import conversation, session, turn, write_log

TOOLS = [
    ToolCalled(id="c1", name="search"),
    ToolReturned(id="c1", name="search", ok=True, result="two"),
    LlmResponse(round=2, raw="Two boats.", side="provider"),
]


def fold_rounds(path: Path, left_out: dict[str, str]) -> tuple[ExportFold, list[list[Round]]]:
    """A fold that went through a log, and the rounds at each commit."""
    with open_log(path) as log:
        fold = ExportFold(log, "other", left_out)
        committed: list[list[Round]] = []
        fold.run({"turn.committed": lambda record: committed.append(fold.take_rounds())})
    return fold, committed


def test_a_commit_has_the_rounds_that_led_to_it(tmp_path: Path) -> None:
    talk = session(
        1,
        "default",
        [
            turn(1, "persona", "How many boats?"),
            turn(2, "provider", "Two boats.", raw="Let me look.", more=TOOLS),
            turn(3, "persona", "Thanks"),
            turn(4, "provider", "Again", signal="Again", discard="retry"),
            turn(4, "provider", "Bye", attempt=2),
        ],
    )
    path = write_log(tmp_path / "run.jsonl", conversation(talk))
    fold, committed = fold_rounds(path, {"turn.discarded": "discarded turns"})
    assert [len(rounds) for rounds in committed] == [0, 2, 0, 1]
    first, second = committed[1]
    assert first.reply is not None and second.reply is not None
    assert (first.reply["raw"], second.reply["raw"]) == ("Let me look.", "Two boats.")
    assert [record["type"] for record in first.after] == ["tool.called", "tool.returned"]
    assert (first.has_results, second.has_results) == (True, False)
    assert list(fold.notes()) == ["1 discarded turn left out"]


def test_what_came_to_nothing_is_no_part_of_the_next_turn(tmp_path: Path) -> None:
    gone = turn(1, "provider", "Old")[:-1]
    gone.append(
        TurnInactive(session=1, turn=1, side="provider", speaker="provider", text="Old",
                     reason="rewound")
    )  # fmt: skip
    talk = session(1, "default", [gone, turn(2, "persona", "Hello")])
    path = write_log(tmp_path / "run.jsonl", conversation(talk))
    assert fold_rounds(path, {})[1] == [[]]


def test_a_damaged_record_stops_only_an_exporter_that_is_strict(tmp_path: Path) -> None:
    def handle(record: RecordDict) -> None:
        raise KeyError("text")

    path = write_log(tmp_path / "run.jsonl", [*conversation(), Warned(message="odd")])
    with open_log(path) as log:
        tolerant = ExportFold(log, "other")
        tolerant.run({"warning": handle}, tolerant=True)
        with pytest.raises(KeyError):
            ExportFold(log, "other").run({"warning": handle})
    assert list(tolerant.notes()) == ["1 record of a wrong shape left out"]


def test_small_helpers(tmp_path: Path) -> None:
    assert system_prompt([{"role": "system", "content": "Be brief."}]) == "Be brief."
    assert system_prompt([{"role": "user", "content": "Hi"}]) is None
    assert system_prompt([]) is None
    total = {"prompt_tokens": 2}
    add_usage(total, {"prompt_tokens": 3, "completion_tokens": 1})
    assert total == {"prompt_tokens": 5, "completion_tokens": 1}
    dangling = tmp_path / "out.jsonl"
    refuse_existing([dangling])
    dangling.symlink_to(tmp_path / "nothing")
    with pytest.raises(FileError, match="is there already, and nothing is overwritten"):
        refuse_existing([dangling])
