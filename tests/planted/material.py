"""The files of a user's project: a provider, tools and a tool server, all of which talk too much.

What is planted is not written into code, which tracebacks show: it is read from `planted.json`.
"""

from __future__ import annotations

from typing import Final

PROVIDER: Final = """
import base64, json, logging, os, pathlib, subprocess, sys, urllib.parse, warnings
import httpx
from convtui import Delta, Provider

HERE = pathlib.Path(__file__).parent
def planted(): return json.loads((HERE / "planted.json").read_text())
print("imported with", os.environ.get("PGPASSWORD"))

class Bot(Provider):
    termination_signals = ["[DONE]"]

    def __init__(self, **options):
        self.options = options

    async def setup(self):
        p = planted()
        print("options", self.options, json.dumps(self.options), repr(self.options))
        print("environment", {n: os.environ.get(n) for n in p["names"]})
        for name in p["names"]:
            print(name + "=" + os.environ.get(name, ""))
        ways = (
            urllib.parse.quote,
            urllib.parse.quote_plus,
            lambda text: base64.b64encode(text.encode()).decode(),
            lambda text: base64.b64encode(b"u:" + text.encode()).decode(),
        )
        for way in ways:
            print("encoded", [way(os.environ.get(n, "")) for n in p["names"]])
        for secret in p["known"]:
            middle = len(secret) // 2
            sys.stdout.write("one half " + secret[:middle]); sys.stdout.flush()
            sys.stdout.write(secret[middle:] + " the other\\n"); sys.stdout.flush()
            os.write(2, ("raw " + secret[:middle]).encode())
            os.write(2, (secret[middle:] + " raw\\n").encode())
        logging.getLogger("bot").warning("key %s", p["known"][0])
        warnings.warn("key " + p["known"][1])
        for token in p["printed"]:
            print("a token", token)
        edge = p["edge"]
        os.write(1, b"x" * (65536 - len(edge) // 2 - 4000))
        os.write(1, (" " + edge + "\\n").encode())
        subprocess.run([sys.executable, "-c", "import os; print('child', dict(os.environ))"])
        async with httpx.AsyncClient() as client:
            for where in p["called"]:
                try:
                    await client.post(where["url"], headers=where["headers"], json=where["json"])
                except httpx.HTTPError as error:
                    print("http", error)

    async def respond(self, request):
        import asyncio
        p = planted()
        turn = request.turn
        if turn == 2:
            text = "I echo " + " and ".join(p["echoed"]) + " and that was all."
            for at in range(0, len(text), 3):
                yield Delta(text[at:at + 3])
            if p["slow"]:
                # Longer than it takes until a part is written.
                for at in range(0, len(p["echoed"][0]), 2):
                    yield Delta(p["echoed"][0][at:at + 2])
                    await asyncio.sleep(0.13)
            yield Delta(reasoning="thinking of " + p["echoed"][1][:7])
            yield Delta(reasoning=p["echoed"][1][7:])
            first, second, third = p["metadata"]
            nested = [{"api_key": third}]
            yield Delta(metadata={"password": first, "note": second, "nested": nested})
        elif turn == 6:
            yield Delta("I was about to say " + p["failed"][0][:12])
            raise RuntimeError("no way with " + " or ".join(p["failed"]))
        else:
            yield Delta("all is well")

    def post_process_response(self, text):
        print("hook", planted()["known"][0])
        return text

class Other(Bot):
    def post_process_response(self, text):
        p = planted()
        print("other hook", p["known"][0], p["printed"][0], flush=True)
        if "well" in text and p["hooks"]:
            raise ValueError("hook failed with " + p["hooks"][0] + " and " + p["known"][1])
        return text + " " + p["known"][1] + " " + p["hooks"][1]

class Broken(Bot):
    def __init__(self, **options):
        raise ValueError(f"no good: {options} {planted()['known']}")
"""

TOOLS: Final = '''
import json, os, pathlib
HERE = pathlib.Path(__file__).parent
def planted(): return json.loads((HERE / "planted.json").read_text())

def lookup(what: str, password: str = "", data: dict = {}) -> dict:
    """Looks something up."""
    p = planted()["results"]
    return {
        "what": what,
        "env": dict(os.environ),
        "password": p[0],
        "note": "it is " + p[1],
        "rows": [{"api_key": p[2]}],
        "text": json.dumps({"client_secret": p[3]}),
        "long": "x " * 30000 + p[4],
    }

def fails(what: str) -> str:
    """Fails."""
    raise RuntimeError("failed with " + planted()["results"][5] + " " + os.environ["PGPASSWORD"])
'''

SERVER: Final = '''
import json, os, sys
from mcp.server.mcpserver import MCPServer
server = MCPServer("talks too much")
print("started as", sys.argv, dict(os.environ), file=sys.stderr, flush=True)

@server.tool()
def environment() -> str:
    """Tells all."""
    half = os.environ.get("PLAIN_NAME", "")
    sys.stderr.write("half " + half[:6]); sys.stderr.flush()
    sys.stderr.write(half[6:] + "\\\\n"); sys.stderr.flush()
    return json.dumps({"environment": dict(os.environ), "arguments": sys.argv})

server.run("stdio")
'''

NEVER_STARTS: Final = """
import os, sys
sys.exit(f"cannot start with {sys.argv} {dict(os.environ)}")
"""

CRASH: Final = """
import sys
from convtui.cli.crash import write_crash
from convtui.scenario.scenario import Scenario
scenario = Scenario.load(sys.argv[1])
def work(scenario):
    raise RuntimeError(f"no good: {scenario.provider} {scenario.tools} {scenario.persona.params}")
try:
    work(scenario)
except RuntimeError as error:
    print(write_crash(error))
"""

NOTE: Final = """
import os, pathlib, sys
from convtui.log.notes import Notes
text = "my own: " + sys.argv[2] + " " + os.environ["PGPASSWORD"]
Notes(pathlib.Path(sys.argv[1])).note(1, 2, text)
"""

REPRO: Final = """
import sys
from convtui.log.reader import open_log
from convtui.log.requests import rebuild
from convtui.tui.widgets.inspector.repro import repro
with open_log(sys.argv[1]) as log:
    for record in log.records():
        if record["type"] == "llm.request":
            messages = rebuild(record, log.reader.by_seq)
            print(repro("python", record, messages))
            print(repro("curl", record, messages))
"""

WATCH: Final = """
import asyncio, json, sys
import convtui.client.pipe_port as client
from convtui.client.engine_client import EngineHandle
from convtui.protocol import Commands, Kind, StartSpec
from convtui.scenario.scenario import Scenario

said = []
read = client.read_frame
def spy(stream):
    frame = read(stream)
    if frame is not None:
        print(frame)
        if frame[0] is Kind.DELTA:
            delta = json.loads(frame[1])
            said.append(delta.get("text", "") + delta.get("reasoning", ""))
    return frame
client.read_frame = spy

async def main():
    handle = EngineHandle()
    spec = StartSpec(Scenario.load(sys.argv[1]).for_engine(), sys.argv[2], watched=True)
    await handle.start(spec)
    for _ in range(200):
        while handle.hold is None and not handle.over:
            await asyncio.sleep(0.01)
        if handle.over:
            break
        choice = handle.hold["choices"][-1]["id"]
        await handle.command(Commands.RELEASE, hold=handle.hold["hold"], choice=choice, edits={})
        await asyncio.sleep(0.05)
    print("deltas:", "".join(said))
    assert said
    await handle.close()

asyncio.run(main())
"""
