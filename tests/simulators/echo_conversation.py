"""A conversation with a kind of simulated user that a file adds, and facts about the kind."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from convtui.scenario.simulators.registry import MODULES

MODULES["echo"] = "tests.simulators.echo_kind"
ECHO = {"name": "Ekko", "task": "hello?", "echo": {"times": 2}}


async def main(folder: Path) -> dict[str, Any]:
    from convtui.errors import DataFileError
    from convtui.files.yaml import validate
    from convtui.scenario.scenario import Persona
    from convtui.schemas import recognise, schema
    from convtui.trust.rules import items
    from tests.builders.conversations import Bot, run, scenario
    from tests.make_manual import simulators

    problems = []
    for wrong in (
        lambda: validate(Persona, {"name": "A", "simulator": "echo"}),
        lambda: validate(Persona, {"name": "A", "echo": {"time": 1}}),
        lambda: scenario(persona=ECHO, follow_up_prompts=["and?"]),
        lambda: validate(Persona, {"name": "A", "simulator": "ecko"}),
    ):
        try:
            wrong()
        except DataFileError as error:
            problems += [f"{problem.key}: {problem.message}" for problem in error.problems]
    file = folder / "ekko.yaml"
    file.write_text("name: Ekko\necho: {times: 2}\n")
    what = scenario(Bot("one", "two", "three"), persona=ECHO)
    ran = await run(what, folder)
    return {
        "said": ran.said,
        "ended": ran.ended,
        "header": ran.one("header")["scenario"]["persona"],
        "problems": sorted(problems),
        "recognised": recognise(file),
        "schema": schema("persona"),
        "asks": [item.field for item in items(what) if item.field.startswith("persona")],
        "manual": simulators(),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(Path(sys.argv[1])))))
