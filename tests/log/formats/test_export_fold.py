"""What all exporters share: the rounds of a turn, what is left out, and files that are there."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from convtui.errors import FileError
from convtui.log.formats.export_fold import (
    ExportFold,
    Round,
    add_usage,
    new_file,
    refuse_existing,
    system_prompt,
)
from convtui.log.formats.hermes import trajectory_export
from convtui.log.formats.left_out import RECORDS
from convtui.log.formats.oharness import export as oharness_export
from convtui.log.formats.openai import export as openai_export
from convtui.log.formats.rath import export as rath_export
from convtui.log.formats.vera import export as vera_export
from convtui.log.reader import open_log
from convtui.records.codec import RecordDict
from convtui.records.models import (
    DebugTookOver,
    LlmResponse,
    ProviderOutput,
    ToolCalled,
    ToolReturned,
    TurnInactive,
    UserDecided,
    Warned,
)
from convtui.text.counts import counted_phrase
from tests.builders.full_disk import full_disk
from tests.builders.logs import conversation, session, turn, write_log
from tests.places import RUNS

TOOLS = [
    ToolCalled(id="c1", name="search"),
    ToolReturned(id="c1", name="search", ok=True, result="two"),
    LlmResponse(round=2, raw="Two boats.", side="provider"),
]


def fold_rounds(path: Path) -> tuple[ExportFold, list[list[Round]]]:
    """A fold that went through a log, and the rounds at each commit."""
    with open_log(path) as log:
        fold = ExportFold(log, "other")
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
    fold, committed = fold_rounds(path)
    assert [len(rounds) for rounds in committed] == [0, 2, 0, 1]
    first, second = committed[1]
    assert first.reply is not None and second.reply is not None
    assert (first.reply["raw"], second.reply["raw"]) == ("Let me look.", "Two boats.")
    assert [record["type"] for record in first.after] == ["tool.called", "tool.returned"]
    assert (first.has_results, second.has_results) == (True, False)
    assert list(fold.notes()) == [
        "1 tool call left out",
        "1 raw reply that a hook changed left out",
        "1 extracted signal left out",
        "1 discarded turn left out",
    ]


def test_what_came_to_nothing_is_no_part_of_the_next_turn(tmp_path: Path) -> None:
    gone = turn(1, "provider", "Old")[:-1]
    gone.append(
        TurnInactive(session=1, turn=1, side="provider", speaker="provider", text="Old",
                     reason="rewound")
    )  # fmt: skip
    talk = session(1, "default", [gone, turn(2, "persona", "Hello")])
    path = write_log(tmp_path / "run.jsonl", conversation(talk))
    assert fold_rounds(path)[1] == [[]]


def test_a_damaged_record_stops_only_an_exporter_that_is_strict(tmp_path: Path) -> None:
    def handle(record: RecordDict) -> None:
        raise KeyError("text")

    path = write_log(tmp_path / "run.jsonl", [*conversation(), Warned(message="odd")])
    with open_log(path) as log:
        tolerant = ExportFold(log, "other")
        tolerant.run({"warning": handle}, tolerant=True)
        with pytest.raises(KeyError):
            ExportFold(log, "other").run({"warning": handle})
    assert list(tolerant.notes()) == [
        "1 warning left out",
        "1 record of a wrong shape left out",
    ]


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


@pytest.mark.parametrize("format", [vera_export, oharness_export, rath_export, trajectory_export])
def test_every_export_says_what_it_has_no_place_for(format: ModuleType, tmp_path: Path) -> None:
    """One list for all: what a format has no place for is named in the same words everywhere."""
    at: dict[str, Any] = {"session": 1, "turn": 2, "side": "provider"}
    happened = [
        ProviderOutput(**at, stream="stdout", text="loading"),
        DebugTookOver(**at),
        Warned(**at, message="odd"),
        UserDecided(session=1, turn=1, side="responder", kind="reply"),
    ]
    talk = session(
        1,
        "default",
        [turn(1, "persona", "Hi"), turn(2, "provider", "Bye", signal="Bye", more=happened)],
    )
    with open_log(write_log(tmp_path / "run.jsonl", conversation(talk))) as log:
        types = Counter(str(record["type"]) for record in log.records())
        notes = set(format.write(log, tmp_path / "out").notes)
    lost = {kind: RECORDS[kind] for kind in types if kind in RECORDS and kind not in format.PLACED}
    assert {"provider.output", "debug.took_over", "warning"} <= set(lost)
    for kind, words in lost.items():
        assert f"{counted_phrase(types[kind], words)} left out" in notes


def test_a_full_disk_leaves_no_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "run.jsonl"
    with (
        full_disk(1_000),
        pytest.raises(FileError, match=r"run\.jsonl: cannot be written: File too large"),
        new_file(path) as file,
    ):
        for _ in range(1_000):
            file.write(b"a line of what was said\n")
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(
    "exporter", [oharness_export, openai_export, rath_export, trajectory_export, vera_export]
)
def test_no_export_leaves_half_a_file(exporter: ModuleType, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with (
        open_log(RUNS / "discarded.jsonl") as log,
        full_disk(200),
        pytest.raises(FileError, match="cannot be written: File too large"),
    ):
        exporter.write(log, out)
    assert [path for path in out.rglob("*") if path.is_file()] == []
