"""What is written of parameters, headers, options, variables, arguments and addresses.

Names that are known to be harmless are written with their values, and what the user lists under
`log_values`; of all others numbers and the like are, texts are not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote_plus, urlsplit, urlunsplit

from convtui.secrets.names import (
    is_free_form,
    is_harmless_name,
    is_secret_name,
    looks_random,
    words,
)
from convtui.secrets.redactor import Redactor
from convtui.secrets.shapes import REDACTED

_CONSTANTS: Final = words("""
    auto none default true false on off yes no low medium high minimal null any
""")
_NUMBER: Final = re.compile(r"[+-]?\d{1,12}(?:\.\d{1,12})?")
_MOST_DEEP: Final = 32


def public_params(
    params: Mapping[str, Any] | None, redactor: Redactor, *, at: tuple[str, ...] = ("params",)
) -> dict[str, Any]:
    """Parameters or options as they may be written and shown, at any depth, as plain data.

    `at` is where they stand, for what the user allows to be written.
    """
    if not params:
        return {}
    return {str(name): _public((*at, str(name)), value, redactor) for name, value in params.items()}


def _public(path: tuple[str, ...], value: Any, redactor: Redactor) -> Any:
    name = path[-1]
    if redactor.allowed.allows(path):
        return _plain(value, redactor.text)
    if value is None or isinstance(value, bool):
        return value
    if is_secret_name(name) and not is_harmless_name(name):
        return REDACTED if value not in ("", [], {}) else value
    if isinstance(value, (int, float)):
        return value
    if is_free_form(name):
        return redactor.data(_plain(value, str))
    if len(path) > _MOST_DEEP:
        return REDACTED
    if isinstance(value, Mapping):
        return {str(key): _public((*path, str(key)), item, redactor) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_public(path, item, redactor) for item in value]
    if not isinstance(value, str):
        value = _written(value)
    return _text(name, value, redactor)


def _text(name: str, value: str, redactor: Redactor) -> str:
    if not value or value.lower() in _CONSTANTS:
        return value
    if is_harmless_name(name):
        return public_url(value, redactor) if "://" in value else redactor.text(value)
    return REDACTED


def _plain(value: Any, text: Callable[[str], str], depth: int = _MOST_DEEP) -> Any:
    """`value` as plain JSON data, with `text` applied to its strings."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if depth and isinstance(value, Mapping):
        return {str(key): _plain(item, text, depth - 1) for key, item in value.items()}
    if depth and isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item, text, depth - 1) for item in value]
    return text(value if isinstance(value, str) else _written(value))


def _written(value: Any) -> str:
    """`repr()` of any object, even where its own raises."""
    try:
        return repr(value)[:2000]
    except Exception as error:  # noqa: BLE001
        return f"<{type(value).__name__}: {type(error).__name__}>"


def public_headers(headers: Sequence[tuple[str, str]], redactor: Redactor) -> list[tuple[str, str]]:
    """HTTP headers as they may be written."""
    return [(name, public_header(name, value, redactor)) for name, value in headers]


def public_header(name: str, value: str, redactor: Redactor, at: str = "headers") -> str:
    """The value of a header, or of a variable, as it may be written."""
    if redactor.allowed.allows((at, name)):
        return redactor.text(value)
    if _NUMBER.fullmatch(value) and not is_secret_name(name):
        return value
    if is_secret_name(name) and not is_harmless_name(name):
        return REDACTED if value else value
    return _text(name, value, redactor)


def public_url(url: str, redactor: Redactor) -> str:
    """An address without credentials, and with the values of its query that are harmless."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return redactor.text(url)
    userinfo, at, host = parts.netloc.rpartition("@")
    netloc = f"{REDACTED}@{host}" if at and userinfo else parts.netloc
    query = "&".join(_pair(pair, redactor) for pair in parts.query.split("&"))
    fragment = parts.fragment
    if "=" in fragment:
        fragment = "&".join(_pair(pair, redactor) for pair in fragment.split("&"))
    return redactor.text(urlunsplit((parts.scheme, netloc, parts.path, query, fragment)))


def _pair(pair: str, redactor: Redactor) -> str:
    name, equals, value = pair.partition("=")
    if not equals:
        return pair
    return f"{name}={public_header(unquote_plus(name), value, redactor, 'query')}"


_FLAG: Final = re.compile(r"--?[A-Za-z][\w.-]*")
_PACKAGE: Final = re.compile(r"(?:@[a-z0-9._-]+/)?[a-z][a-z0-9._-]*(?:@[a-z0-9.^~*-]+)?")
_IMAGE: Final = re.compile(r"[a-z0-9.-]+(?::\d+)?(?:/[a-z0-9._-]+)+(?::[\w.-]+)?")
_FILE: Final = re.compile(r"[\w ./\\:~+@%-]*\.[A-Za-z][A-Za-z0-9]{0,5}")
_VARIABLE: Final = re.compile(r"[A-Z][A-Z0-9_]*")


def public_arguments(command: Sequence[str], redactor: Redactor) -> list[str]:
    """A command line as it may be written: its program, flags, paths, packages and numbers."""
    public: list[str] = []
    flag = ""
    for index, word in enumerate(command):
        public.append(_argument(word, flag, redactor) if index else redactor.text(word))
        flag = word if _FLAG.fullmatch(word) else ""
    return public


def _argument(word: str, flag: str, redactor: Redactor) -> str:
    if _FLAG.fullmatch(word) and not looks_random(word):
        return redactor.text(word)
    name, equals, value = word.partition("=")
    if equals and re.fullmatch(r"-{0,2}[A-Za-z][\w.-]*", name):
        return f"{name}={_value(name, value, redactor)}"
    return _value(flag, word, redactor)


def _value(flag: str, value: str, redactor: Redactor) -> str:
    """The value of a flag, or an argument without one."""
    name = flag.lstrip("-")
    if name and redactor.allowed.allows(("command", name)):
        return redactor.text(value)
    if name and is_secret_name(name) and not _is_place(value):
        return REDACTED if value else value
    if not value or _NUMBER.fullmatch(value) or value.lower() in _CONSTANTS:
        return value
    if "://" in value:
        return public_url(value, redactor)
    if name and is_harmless_name(name):
        return redactor.text(value)
    if looks_random(value) and not _is_place(value):
        return REDACTED
    if _is_place(value) or _VARIABLE.fullmatch(value):
        return redactor.text(value)
    # One letter says nothing of what follows: `-m package`, `-i image`.
    if len(name) <= 1 and (_PACKAGE.fullmatch(value) or _IMAGE.fullmatch(value)):
        return redactor.text(value)
    if name in ("yes", "module", "package", "from", "with", "rm", "interactive"):
        return redactor.text(value)
    return REDACTED


def _is_place(value: str) -> bool:
    """Whether an argument is a path: it begins like one, or ends in a known file extension."""
    if value.startswith(("/", "./", "../", "~/")) or value in (".", ".."):
        return True
    return _FILE.fullmatch(value) is not None


def masked_places(value: Any, path: tuple[str, ...] = ()) -> list[str]:
    """The dotted keys of recorded data that were redacted: `provider.options.style`."""
    if isinstance(value, str):
        return [".".join(path)] if REDACTED in value else []
    if isinstance(value, Mapping):
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, (list, tuple)):
        items = [(str(index), item) for index, item in enumerate(value)]
    else:
        return []
    return [key for name, item in items for key in masked_places(item, (*path, name))]
