"""The user's project with everything planted in it, and the environment it is run in."""

from __future__ import annotations

import base64
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.fakes.openai_script import FakeCall, FakeReply
from tests.planted.material import CRASH, NEVER_STARTS, NOTE, PROVIDER, REPRO, SERVER, TOOLS, WATCH
from tests.planted.values import HEADERS, NAMES, OPTIONS, PARAMETERS, Planted

SOURCES = {
    "provider.py": PROVIDER,
    "tools.py": TOOLS,
    "server.py": SERVER,
    "never.py": NEVER_STARTS,
    "crash.py": CRASH,
    "note.py": NOTE,
    "repro.py": REPRO,
    "watch.py": WATCH,
}


@dataclass(slots=True)
class Project:
    """A folder of the user's, and what is searched for once the program has been there."""

    folder: Path
    planted: Planted
    environment: dict[str, str]
    replies: list[FakeReply]
    inputs: set[Path]
    """What the user wrote: it is full of secrets, and stays it."""


def make(folder: Path, planted: Planted, url: str, *, slow: bool) -> Project:
    """Writes the project; `url` is the endpoint's."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = _environment(planted)
    known = [environment["PGPASSWORD"], planted.opaque("option: known", odd=True)]
    data = {
        "names": [name for name in NAMES if name in environment],
        "known": known,
        "printed": [planted.token(f"printed {n}") for n in range(4)],
        "edge": planted.token("printed over 64 KB"),
        "echoed": [
            environment["WORDS_PASSPHRASE"],
            planted.opaque("option: thought", odd=True),
            *(planted.token(f"echoed {n}") for n in range(3)),
        ],
        "metadata": [
            planted.opaque("metadata password"),
            planted.token("metadata note"),
            planted.opaque("metadata key"),
        ],
        "failed": [planted.token(f"exception {n}") for n in range(4)],
        "hooks": [planted.token(f"hook {n}") for n in range(2)],
        "results": [
            planted.opaque("result password"),
            planted.token("result note"),
            planted.opaque("result key"),
            planted.opaque("result json"),
            planted.token("result long"),
            planted.token("tool exception"),
        ],
        "called": _called(planted, url),
        "slow": slow,
    }
    own = _own(planted, data)
    model = _model(planted, url)
    files = {
        **SOURCES,
        "planted.json": json.dumps(data),
        "own.yaml": yaml.safe_dump(own, allow_unicode=True),
        "model.yaml": yaml.safe_dump(model, allow_unicode=True),
        "never.yaml": yaml.safe_dump(_never(planted)),
        "unreachable.yaml": yaml.safe_dump(_unreachable(planted)),
        "keys.env": "".join(
            f"{name}='{planted.opaque(f'env file {name}')}'\n"
            for name in ("FILE_DB_PASSWORD", "FILE_API_KEY", "FILE_PAT")
        ),
        "convtui.toml": f'api_base = "http://{planted.opaque("settings")}@127.0.0.1:9/v1"\n',
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return Project(
        folder,
        planted,
        environment,
        _replies(planted, data),
        {folder / name for name in files},
    )


def _environment(planted: Planted) -> dict[str, str]:
    """A whole environment: nothing of the machine's own is in it but what a program needs."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    for name in planted.few(NAMES, 6):
        kept[name] = planted.opaque(f"environment {name}", odd=len(planted.by_place) % 3 == 1)
    kept["GLITCHTIP_DSN"] = f"https://{planted.opaque('dsn user')}@o1.ingest.example/5"
    kept["DATABASE_URL"] = f"postgres://shop:{planted.opaque('database url')}@db.example/shop"
    kept["HTTPS_PROXY_OF_OURS"] = f"http://{planted.opaque('proxy user')}@proxy.example:3128"
    kept["WORDS_PASSPHRASE"] = planted.opaque("environment in words", words=True)
    kept["PLAINLY_NAMED"] = planted.token("environment by shape")
    basic = base64.b64encode(f"shop:{planted.opaque('basic')}".encode()).decode()
    kept["REGISTRY_AUTH"] = f"Basic {basic}"
    kept["ODBC_CONNECTION"] = f"Server=db;Uid=a;Pwd={planted.opaque('odbc')};"
    return kept


def _called(planted: Planted, url: str) -> list[dict[str, Any]]:
    """What the provider's own client sends."""
    return [
        {
            "url": f"{url.rpartition('/')[0]}/nothing?api_key={planted.opaque('query key')}"
            f"&code={planted.opaque('query code')}&sig={planted.opaque('query sig')}",
            "headers": {
                "X-Auth": planted.opaque("own client X-Auth"),
                "Authorization": f"Bearer {planted.opaque('own client bearer')}",
                "X-Whatever": planted.opaque("own client header"),
            },
            "json": {
                "password": planted.opaque("own client body"),
                "text": f"it is {planted.token('own client token')}",
            },
        },
        {
            "url": f"http://{planted.opaque('own client user')}@127.0.0.1:9/none",
            "headers": {"Cookie": f"sid={planted.opaque('own client cookie')}"},
            "json": {},
        },
    ]


def _own(planted: Planted, data: dict[str, Any]) -> dict[str, Any]:
    """A scenario with the user's own provider, and a tool server."""
    options: dict[str, Any] = {
        "known_secret": data["known"][1],
        "thought_secret": data["echoed"][1],
        "deep": {"auth": {"pass": planted.opaque("option auth.pass")}},
        "api_keys": [planted.opaque("option list 1"), planted.opaque("option list 2")],
        "nobody_knows": planted.opaque("option unknown"),
        "label": planted.token("option by shape"),
        **{name: planted.opaque(f"option {name}") for name in planted.few(OPTIONS)},
    }
    return {
        "name": "own",
        "persona": {
            "name": "Maya",
            "script": ["one", f"my key is {planted.token('said by the user')}", "three", "four"],
        },
        "provider": {"use": "provider.py:Bot", "options": options},
        "limits": {"max_turns": 8},
        "retry": {"base_delay": 0, "max_delay": 0},
    }


def _model(planted: Planted, url: str) -> dict[str, Any]:
    """A scenario with models for both sides, Python tools and a tool server."""
    headers = {name: planted.opaque(f"header {name}") for name in planted.few(HEADERS)}
    body: dict[str, Any] = {
        name: planted.opaque(f"parameter {name}") for name in planted.few(PARAMETERS)
    }
    body["vertex_credentials"] = {"private_key": planted.opaque("parameter credentials")}
    body["deep"] = [{"er": {"secret_key": planted.opaque("parameter deep")}}]
    side = {
        "api_base": url,
        "api_key": planted.opaque("persona key"),
        "extra_headers": {"X-Persona-Key": planted.opaque("persona header")},
    }
    server = {
        "command": [
            sys.executable, "server.py", "--api-key", planted.opaque("argument"),
            f"--token={planted.opaque('argument with =')}", planted.opaque("argument alone"),
            f"SMTP_PASS={planted.opaque('argument variable')}",
            f"https://u:{planted.opaque('argument url')}@host.example/x",
        ],
        "env": {
            "TRIPS_API_KEY": planted.opaque("server key", odd=True),
            "PLAIN_NAME": planted.opaque("server plainly named"),
            "DB": f"postgres://a:{planted.opaque('server url')}@db.example/x",
            "LOG_LEVEL": "debug",
        },
    }  # fmt: skip
    return {
        "name": "model",
        "persona": {
            "name": "Max", "simulator": "llm", "model": "openai/persona-1", "task": "a refund",
            "prompt": "You are Max.", "params": side,
        },
        "provider": {
            "use": "openai/provider-1",
            "system_prompt": f"The code is {planted.token('system prompt')}.",
            "params": {
                "api_base": url,
                "api_key": planted.opaque("provider key"),
                "temperature": 0.5,
                "extra_headers": headers,
                "extra_body": body,
            },
        },
        "tools": ["tools.py:lookup", "tools.py:fails", {"mcp": server}],
        "limits": {"max_turns": 4, "max_tool_rounds": 3},
        "retry": {"base_delay": 0, "max_delay": 0},
    }  # fmt: skip


def _never(planted: Planted) -> dict[str, Any]:
    """A tool server that does not start, and says all it knows."""
    server = {
        "command": [sys.executable, "never.py", "--password", planted.opaque("never argument")],
        "env": {"NEVER_TOKEN": planted.opaque("never key")},
    }
    return {"persona": "demo", "provider": "demo", "tools": [{"mcp": server}]}


def _unreachable(planted: Planted) -> dict[str, Any]:
    """A tool server and an endpoint that cannot be reached."""
    url = f"http://{planted.opaque('unreachable user')}@127.0.0.1:9/mcp"
    server = {
        "url": f"{url}?token={planted.opaque('unreachable query')}",
        "headers": {
            "Authorization": f"Bearer {planted.opaque('unreachable bearer')}",
            "X-Tenant-Name": planted.opaque("unreachable header"),
        },
    }
    return {"persona": "demo", "provider": "demo", "tools": [{"mcp": server}]}


def _replies(planted: Planted, data: dict[str, Any]) -> list[FakeReply]:
    """What the endpoint answers: keys it was sent, whole and in pieces, and calls with keys."""
    arguments = {
        "what": f"it is {planted.token('argument of a tool')}",
        "password": planted.opaque("password of a tool"),
        "data": {"client_secret": planted.opaque("secret of a tool")},
    }
    key = planted.by_place["provider key"]
    return [
        FakeReply(
            tool_calls=(
                FakeCall("lookup", json.dumps(arguments), "c1"),
                FakeCall("fails", json.dumps({"what": planted.by_place["persona key"]}), "c2"),
                FakeCall("environment", "{}", "c3"),
            )
        ),
        FakeReply(
            text=f"Your key is {key}, and {data['echoed'][2]}, and the words are"
            f" {data['echoed'][0]} so.",
            reasoning=f"They sent {key}.",
            headers={
                "x-request-id": "req_1",
                "Set-Cookie": f"sid={planted.opaque('response cookie')}",
                "X-Opaque": planted.opaque("response header"),
            },
        ),
        FakeReply(status=401, error={"message": f"bad key: {key}", "type": "auth"}),
    ]
