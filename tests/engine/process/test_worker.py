"""An engine process that hosts many conversations."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from convtui.log.reader import open_log
from convtui.protocol import Kind
from tests.builders.worker import bot_spec, hosting

pytestmark = [
    pytest.mark.slow,
    pytest.mark.real_engines,
    pytest.mark.skipif(sys.platform == "win32", reason="process groups and signals"),
]


@pytest.fixture(autouse=True)
def short_lived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVTUI_HOME", str(tmp_path / "home"))


async def test_two_conversations_each_with_a_log_of_its_own(tmp_path: Path) -> None:
    body = """
    async def bot(messages):
        said = messages[-1]["content"]
        print("heard", said)
        await asyncio.sleep(0)
        return f"you said {said}"
    """
    async with hosting() as worker:
        worker.begin(
            bot_spec(tmp_path, body, script=["apple", "pear"]),
            bot_spec(tmp_path, body, script=["stone", "sand"]),
        )
        await worker.all_ended(2)
        for number, own, other in ((1, "apple", "stone"), (2, "stone", "apple")):
            ended = worker.ended[number]
            assert ended["status"] == 0 and ended["termination"]["kind"] == "completed"
            text = Path(ended["log"]).read_text()
            assert f"you said {own}" in text and f"heard {own}" in text and other not in text
            with open_log(Path(ended["log"])) as log:
                assert log.findings == []
        assert not worker.found(Kind.OUTPUT)
