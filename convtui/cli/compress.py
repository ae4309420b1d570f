"""`convtui compress`: a saved conversation with its history summarised."""

from __future__ import annotations

import click

from convtui.cli.common import echo, example, json_flag, print_json, say
from convtui.errors import ConversationError
from convtui.text.boundary import visible
from convtui.text.counts import counted


@click.command(
    "compress",
    epilog=example("convtui compress run.jsonl", "convtui run --resume COMPRESSED_LOG"),
)
@click.argument("log")
@click.option("--provider", metavar="SPEC", help="Summarises with this provider instead.")
@click.option("--api-base", metavar="URL", help="Endpoint of the provider's model.")
@click.option("--out", metavar="DIR", help="Where the new log goes.")
@click.option("--trust", is_flag=True, help="Run what the log names, whoever wrote it.")
@click.option("--python", metavar="PATH", help="The interpreter that has the provider's packages.")
@click.option("--env-file", metavar="FILE", help="Environment variables, such as API keys.")
@json_flag
def command(
    *,
    log: str,
    provider: str | None,
    api_base: str | None,
    out: str | None,
    trust: bool,
    python: str | None,
    env_file: str | None,
    as_json: bool,
) -> int:
    """Summarises what was said, in a new log from which the conversation can be gone on with.

    The provider's model is asked once, tools off; its summary takes the place of the history that
    it is sent. What was said stays readable in the new log, and the old one is not touched.
    """
    from convtui.cli.headless import conduct, printer
    from convtui.cli.start import plan
    from convtui.protocol import ContinueFrom

    flags = {
        "resume": log,
        "provider": provider,
        "api_base": api_base,
        "out": out,
        "trust": trust,
        "python": python,
        "env_file": env_file,
    }
    planned = plan(None, flags, watched=False)
    assert planned.spec.continue_from is not None
    source = planned.spec.continue_from.log
    planned.spec.continue_from = ContinueFrom(log=source, kind="compress", stop=True)
    done = conduct(planned.spec, printer(as_json=True, debug=False), planned.python)
    made = next(
        (
            record
            for record in done.handle.transcript.lifecycle
            if record.get("type") == "context.compressed"
        ),
        None,
    )
    path = done.handle.log_path
    if made is None:
        ended = done.handle.transcript.termination or {}
        raise ConversationError(f"{log}: not compressed: {ended.get('reason') or 'it failed'}")
    if as_json:
        names = ("session", "upto", "rows_in", "rows_out", "summary")
        print_json({"log": str(path), **{name: made.get(name) for name in names}})
        return 0
    echo(visible(str(made["summary"])))
    messages = counted(made["rows_in"], "message")
    say(f"{messages} became 1; `convtui run --resume {path}` goes on from it")
    say(str(path))
    return 0
