"""Which values are secrets: of an environment, of parameters, headers and arguments."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from convtui.secrets.forms import SHORTEST
from convtui.secrets.names import (
    NOTHING_ALLOWED,
    LogValues,
    is_free_form,
    is_harmless_name,
    is_secret_name,
    looks_random,
    words,
)
from convtui.secrets.shapes import REDACTED, TOKENS

_SCHEME: Final = re.compile(r"(?i)^(?:bearer|basic|token|digest|apikey|negotiate)\s+")
_USERINFO: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://([^\s/\"'<>?#]+)@")
_IN_CONNECTION: Final = re.compile(
    r"(?i)(?:^|[;\s])(?:password|pwd|accountkey|sharedaccesskey|secret)\s*=\s*([^;\s]+)"
)
_ORDINARY: Final = words("""
    disabled enabled required optional password postgres changeme username localhost anonymous
    undefined internal external development production automatic standard
""")
"""Words that stand as values of key-like names and in every second sentence."""
_LINE: Final = 16
"""Characters of the shortest line of a longer secret that is looked for by itself."""


def secret_values(environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The secrets of an environment, longest first: by their names, and by their shapes.

    Values shorter than eight characters are left out: taking `1` or `test` out of every text would
    destroy what the log is for. So are paths of files that exist.
    """
    env = os.environ if environ is None else environ
    secrets: set[str] = set()
    for name, value in env.items():
        if len(value) < SHORTEST:
            continue
        if is_secret_name(name):
            secrets.update(parts_of(value))
        else:
            secrets.update(_inside(value))
    return _ordered(secrets)


def secrets_of(
    value: Any, allowed: LogValues = NOTHING_ALLOWED, *, at: tuple[str, ...] = ("params",)
) -> tuple[str, ...]:
    """The secrets in parameters, headers or options, at any depth, longest first.

    Values under secret names, values that look like a token, and, under unknown names, what
    looks random; not what the user allows to be written.
    """
    secrets: set[str] = set()
    _gather(value, at, None, allowed, secrets, strict=False)
    return _ordered(secrets)


def all_of(
    values: Mapping[str, str], allowed: LogValues = NOTHING_ALLOWED, *, at: str = "headers"
) -> tuple[str, ...]:
    """The secrets among the variables or headers of a tool server: all whose name is not known to
    be harmless."""
    secrets: set[str] = set()
    _gather(values, (at,), None, allowed, secrets, strict=True)
    return _ordered(secrets)


def _gather(
    value: Any,
    path: tuple[str, ...],
    secret: str | None,
    allowed: LogValues,
    secrets: set[str],
    *,
    strict: bool,
) -> None:
    """`secret` is the secret-like name further up, if any."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            name = str(key)
            telling = None if is_harmless_name(name) else secret
            telling = name if is_secret_name(name) else telling
            inner = strict or name in _HEADERS
            _gather(item, (*path, name), telling, allowed, secrets, strict=inner)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _gather(item, path, secret, allowed, secrets, strict=strict)
    elif isinstance(value, str) and not allowed.allows(path):
        if secret is not None:
            secrets.update(parts_of(value))
            return
        secrets.update(_inside(value))
        if is_harmless_name(path[-1]) or _is_plain(value):
            return
        if any(map(is_free_form, path)):
            return
        if strict or looks_random(value):
            secrets.update(parts_of(value))


_HEADERS: Final = frozenset({"headers", "extra_headers", "default_headers", "env"})


def argument_secrets(command: Iterable[str]) -> tuple[str, ...]:
    """The secrets in the arguments of a command: behind key-like flags, and what looks random."""
    secrets: set[str] = set()
    flag = ""
    for word in command:
        name, equals, value = word.partition("=")
        if equals and is_secret_name(name):
            secrets.update(parts_of(value))
        elif flag and not word.startswith("-") and is_secret_name(flag):
            secrets.update(parts_of(word))
        else:
            secrets.update(_inside(word))
            last = value if equals else word
            if looks_random(last) and not re.search(r"[/\\@]|\.\w{1,5}$", last):
                secrets.update(parts_of(last))
        flag = word if word.startswith("-") and not equals else ""
    return _ordered(secrets)


def parts_of(value: str) -> Iterator[str]:
    """A secret and the parts of it that may appear alone: lines, without `Bearer`, decoded."""
    value = value.strip()
    if not value or REDACTED in value or value.lower() in _ORDINARY or _is_file(value):
        return
    bare = _SCHEME.sub("", value).strip()
    yield bare
    if bare != value:
        yield value
        yield from _decoded(bare)
    if "\n" in bare or "\\n" in bare:
        for line in re.split(r"\r?\n|\\n", bare):
            if len(line.strip()) >= _LINE and not line.startswith("-----"):
                yield line.strip()
    if bare.startswith("{"):
        with contextlib.suppress(ValueError):
            yield from secrets_of(json.loads(bare))
    yield from _inside(bare)


def _decoded(basic: str) -> Iterator[str]:
    """The user and the password of a Basic authorization."""
    try:
        user, colon, password = base64.b64decode(basic, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return
    if colon:
        yield f"{user}:{password}"
        yield password


def _inside(value: str) -> Iterator[str]:
    """The secrets inside a harmless value: credentials of URLs, passwords, tokens."""
    if "://" in value:
        for userinfo in _USERINFO.findall(value):
            user, colon, password = userinfo.partition(":")
            for part in (userinfo, password if colon else user):
                yield part
                yield unquote(part)
    if "=" in value:
        yield from _IN_CONNECTION.findall(value)
    for match in TOKENS.finditer(value):
        yield match[0]


def _is_plain(value: str) -> bool:
    """Whether a value under an unknown name looks harmless: a number, a path, an address."""
    return (
        value.lower() in _ORDINARY
        or re.fullmatch(r"[\d.,:+/ -]+|[a-z]+", value) is not None
        or value.startswith(("http://", "https://", "/", "./", "../", "~"))
        or " " in value.strip()
    )


def _is_file(value: str) -> bool:
    """Whether a value is the path of a file, which may hold a secret but is none."""
    if not value.startswith(("/", "~", ".")) and value[1:3] not in (":\\", ":/"):
        return False
    try:
        return len(value) < 4096 and os.path.exists(os.path.expanduser(value))  # noqa: PTH110, PTH111
    except (OSError, ValueError):
        return False


def _ordered(values: Iterable[str]) -> tuple[str, ...]:
    kept = {value for value in values if len(value) >= SHORTEST and value.lower() not in _ORDINARY}
    return tuple(sorted(kept, key=lambda value: (-len(value), value)))
