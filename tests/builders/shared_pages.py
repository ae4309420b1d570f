"""Pages of logs, among them of one with hostile text in all that a page shows."""

from __future__ import annotations

from pathlib import Path

from convtui.log.reader import open_log
from convtui.records.models import ToolCalled, ToolReturned
from convtui.share.conversation import conversation_of
from convtui.share.html.page import html_page
from convtui.share.turn_range import TurnRanges
from tests.builders.logs import conversation, ending, session, turn, write_log

RUN = "document.title='run'"
HOSTILE = (
    f'<script>{RUN}</script><img src=http://127.0.0.1:9/x onerror="{RUN}"></p></article></main>'
    f'<style>body{{display:none}}</style><a href="javascript:{RUN}">x</a>'
    "\x1b]0;run\x07\u202egnp<!--"
)


def page_of(log: Path) -> str:
    with open_log(log) as opened:
        return html_page(conversation_of(opened, TurnRanges()))


def hostile_log(path: Path) -> Path:
    """Hostile text in all that a page shows."""
    provider = turn(
        2, "provider", HOSTILE, raw=f"raw {HOSTILE}", signal="<script>",
        more=[
            ToolCalled(id="c", name=HOSTILE, arguments={HOSTILE: HOSTILE}),
            ToolReturned(id="c", name=HOSTILE, ok=False, result=HOSTILE, error_kind=HOSTILE),
        ],
    )  # fmt: skip
    records = conversation(
        session(1, HOSTILE, [turn(1, "persona", HOSTILE), provider]),
        end={**ending(), "reason": HOSTILE},
    )
    records[0] = records[0].model_copy(update={"persona": HOSTILE})
    return write_log(path, records)
