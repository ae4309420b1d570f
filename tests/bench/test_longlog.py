"""The generated log is a log like any other."""

from __future__ import annotations

from pathlib import Path

from convtui.log.reader import open_log
from convtui.log.requests import digest, rebuild
from tests.bench import longlog


def test_a_generated_log_is_whole(tmp_path: Path) -> None:
    with open_log(longlog.write(tmp_path / "long.jsonl", 500)) as log:
        assert log.findings == []
        assert len(log.transcript.turns) == 500
        assert log.transcript.complete
        requests = [record for record in log.records() if record["type"] == "llm.request"]
        for record in requests[::50]:
            messages = rebuild(record, log.reader.by_seq)
            assert digest(messages) == record["sha256"]
        words = {len(turn.text.split()) for turn in log.transcript.turns}
        assert words == {longlog.WORDS}
