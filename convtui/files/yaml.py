"""Reading the YAML files that people write, and saying where their mistakes are.

Text becomes plain data (dict, list, str, int, float, bool, None) and a map from key path to line.
Words follow YAML 1.2: only `true` and `false` are booleans, dates and `12:30` stay text, so that
`script: [yes, no]` says what it says. No tag builds an object; nothing in a file is executed.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convtui.errors import DataFileError, FileError, Problem
from convtui.files.near import near_file
from convtui.files.regular import NOT_REGULAR
from convtui.files.validation import KeyPath, Lines, dotted, line_of, validate

if TYPE_CHECKING:
    import yaml

__all__ = [
    "Document",
    "KeyPath",
    "Lines",
    "decode_text",
    "dotted",
    "line_of",
    "load_yaml",
    "parse_value",
    "parse_yaml",
    "plain_scalar",
    "read_text",
    "validate",
]

MAX_BYTES = 2_000_000
MAX_DEPTH = 50
MAX_NODES = 200_000
"""Values in a document, aliases counted as often as they are used."""
MAX_TEXT = 4 * MAX_BYTES
"""Characters of them all, counted likewise."""

# Compiled when it is first used: every command imports this for its settings.
_UNPRINTABLE = "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULL = {"", "~", "null", "Null", "NULL"}
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Document:
    """A file's data, the line of each key, and the path."""

    data: Any
    lines: Lines = field(default_factory=dict)
    path: Path | None = None


def read_text(path: Path, *, max_bytes: int = MAX_BYTES, named_by: Path | None = None) -> str:
    """The text of a file that a person wrote; UTF-8, a byte order mark is dropped.

    `named_by` is the file that names it, if one does.

    Raises `FileError` when it is missing, unreadable, no regular file or larger than `max_bytes`,
    and `DataFileError` with the line for bytes that are not UTF-8 text.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise FileError(f"{path}: this is a directory, not a file")
        if not stat.S_ISREG(mode):
            raise FileError(f"{path}: {NOT_REGULAR}")
        with path.open("rb") as file:
            raw = file.read(max_bytes + 1)
    except FileNotFoundError:
        near = near_file(path, named_by=named_by)
        raise FileError(f"{path}: there is no such file{near}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FileError(f"{path}: cannot be read: {reason}") from None
    if len(raw) > max_bytes:
        raise FileError(f"{path}: larger than {max_bytes:,} bytes; is this the right file?")
    return decode_text(raw, path)


def decode_text(raw: bytes, path: Path | None = None) -> str:
    """`raw` as text. Raises `DataFileError` for what is not UTF-8, naming line and byte."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataFileError([Problem("this is UTF-16; save the file as UTF-8", path=path)])
    if b"\x00" in raw[:8192]:
        raise DataFileError([Problem("this is a binary file, not text", path=path)])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = f"byte 0x{raw[error.start]:02X} is not UTF-8; save the file as UTF-8"
        raise DataFileError([Problem(message, path=path, line=line)]) from None


def load_yaml(path: Path, *, named_by: Path | None = None) -> Document:
    """The data of a YAML file. Raises `FileError`, or `DataFileError` with file and line."""
    return parse_yaml(read_text(path, named_by=named_by), path)


def parse_yaml(text: str, path: Path | None = None) -> Document:
    """The data of YAML text, at most one document; an empty one is None.

    Raises `DataFileError` for bad syntax, duplicate keys (each with its line), tags, keys that are
    no text or whole number, and documents too deep or too large.
    """
    import yaml

    match = re.search(_UNPRINTABLE, text)
    if match:
        line = text.count("\n", 0, match.start()) + 1
        message = f"the character U+{ord(match.group()):04X} cannot stand in a YAML file"
        raise DataFileError([Problem(message, path=path, line=line)])
    try:
        _bounded(text, path)
        loader = _loader_class()(text)
        try:
            root = loader.get_single_node()
            if root is None:
                return Document(None, {}, path)
            _Size(path).of(root)
            builder = _Builder(loader, path)
            data = builder.build(root, ())
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise DataFileError([_syntax_problem(error, text, path)]) from None
    if builder.problems:
        raise DataFileError(sorted(builder.problems, key=lambda problem: problem.line or 0))
    return Document(data, builder.lines, path)


def parse_value(text: str) -> Any:
    """A single value in YAML, as `--set key=value` takes it: `3`, `[a, b]`, `text`."""
    return parse_yaml(text).data


@lru_cache(maxsize=1)
def _loader_class() -> type[yaml.SafeLoader]:
    import yaml

    # libyaml, where built in, is about ten times faster; both raise the same errors.
    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loader: Any = type("_Loader", (base,), {"yaml_implicit_resolvers": {}})
    merge = re.compile(r"^<<$")
    loader.add_implicit_resolver(_TAG + "merge", merge, ["<"])
    kind: type[yaml.SafeLoader] = loader
    return kind


def _bounded(text: str, path: Path | None) -> None:
    """Refuses data that nests too deep, before anything recurses over it."""
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=_loader_class()):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise DataFileError(
                    [
                        Problem(
                            f"nested more than {MAX_DEPTH} deep",
                            path=path,
                            line=None if event.start_mark is None else event.start_mark.line + 1,
                        )
                    ]
                )
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class _Size:
    """Counts values and their text with aliases expanded, so that a few lines cannot become
    gigabytes.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[int, tuple[int, int]] = {}
        self._open: set[int] = set()

    def of(self, node: yaml.Node) -> tuple[int, int]:
        """The number of values under `node`, itself included, and of their characters."""
        known = self._known.get(id(node))
        if known is not None:
            return known
        line = node.start_mark.line + 1
        if id(node) in self._open:
            raise DataFileError(
                [Problem("an alias refers to what it is part of", path=self._path, line=line)]
            )
        self._open.add(id(node))
        values, length = 1, _length(node)
        for child in _children(node):
            more_values, more_length = self.of(child)
            values += more_values
            length += more_length
            if values > MAX_NODES:
                raise self._too_large(f"more than {MAX_NODES:,} values", line)
            if length > MAX_TEXT:
                raise self._too_large(f"aliases make more than {MAX_TEXT:,} characters of it", line)
        self._open.discard(id(node))
        self._known[id(node)] = values, length
        return values, length

    def _too_large(self, message: str, line: int) -> DataFileError:
        return DataFileError([Problem(message, path=self._path, line=line)])


def _length(node: yaml.Node) -> int:
    return len(node.value) if isinstance(node.value, str) else 0


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    import yaml

    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key
            yield value


class _Builder:
    """Turns composed nodes into plain data, noting lines and collecting every mistake."""

    def __init__(self, loader: yaml.SafeLoader, path: Path | None) -> None:
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[Problem] = []
        self._loader = loader
        self._path = path
        self._checked: set[int] = set()

    def build(self, node: yaml.Node, where: KeyPath) -> Any:
        """The plain value of `node`."""
        import yaml

        self.lines.setdefault(where, node.start_mark.line + 1)
        tag = node.tag.removeprefix(_TAG)
        if isinstance(node, yaml.MappingNode) and tag == "map":
            return self._mapping(node, where)
        if isinstance(node, yaml.SequenceNode) and tag == "seq":
            return [self.build(item, (*where, i)) for i, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            if tag == "merge" or (tag == "str" and node.style not in (None, "")):
                return node.value
            if tag == "str":
                return self._plain(node, where)
        self._problem(
            f"the tag {node.tag.replace(_TAG, '!!')!r} is not allowed here;"
            " a text that begins with ! needs quotes",
            node,
            where,
        )
        return None

    def _mapping(self, node: yaml.MappingNode, where: KeyPath) -> dict[str | int, Any]:
        if id(node) not in self._checked:
            self._checked.add(id(node))
            self._refuse_duplicates(node, where)
            self._loader.flatten_mapping(node)
        result: dict[str | int, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key is None:
                self._problem("a key must be text or a whole number", key_node, where)
                continue
            # A later pair wins: merged pairs stand first, and true duplicates were refused.
            self.lines[(*where, key)] = key_node.start_mark.line + 1
            result[key] = self.build(value_node, (*where, key))
        return result

    def _refuse_duplicates(self, node: yaml.MappingNode, where: KeyPath) -> None:
        first: dict[str | int, int] = {}
        for key_node, _ in node.value:
            key = self._key(key_node)
            if key is None or key_node.tag == _TAG + "merge":
                continue
            line = key_node.start_mark.line + 1
            if key in first:
                self._problem(
                    f"duplicate key {key!r}, first given on line {first[key]}",
                    key_node,
                    (*where, key),
                )
            else:
                first[key] = line

    def _key(self, node: yaml.Node) -> str | int | None:
        if not isinstance(node.value, str):
            return None
        if node.tag != _TAG + "str" or node.style not in (None, ""):  # type: ignore[attr-defined]
            return node.value
        try:
            value = plain_scalar(node.value)
        except ValueError:
            return node.value
        return value if isinstance(value, (str, int)) and not isinstance(value, bool) else None

    def _plain(self, node: yaml.ScalarNode, where: KeyPath) -> Any:
        try:
            return plain_scalar(node.value)
        except ValueError:
            self._problem("this number is too long", node, where)
            return None

    def _problem(self, message: str, node: yaml.Node, where: KeyPath) -> None:
        self.problems.append(
            Problem(message, path=self._path, line=node.start_mark.line + 1, key=dotted(where))
        )


def plain_scalar(text: str) -> str | int | float | bool | None:
    """What an unquoted word means in YAML 1.2. Raises ValueError for absurdly long numbers."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        number = int(text[2:] if base != 10 else text, base)
        if base != 10:
            str(number)  # Python reads what is too long to be written as a decimal.
        return number
    if _FLOAT.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def _syntax_problem(error: yaml.YAMLError, text: str, path: Path | None) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = None if mark is None else mark.line + 1
    what = str(getattr(error, "problem", None) or error).strip()
    row = text.splitlines()[line - 1] if line and line <= len(text.splitlines()) else ""
    indent = row[: len(row) - len(row.lstrip())]
    if "\t" in indent or "\\t" in what:
        return Problem("tabs cannot indent YAML; use spaces", path=path, line=line)
    hint = ""
    if "mapping values" in what:
        hint = "; a text with ': ' in it needs quotes"
    elif "cannot start any token" in what:
        hint = "; a text that begins with a special character needs quotes"
    elif "another document" in what or "single document" in what:
        what, hint = "a second document begins here", "; keep one document in a file"
    elif "undefined alias" in what:
        hint = "; a text that begins with * needs quotes"
    elif "whitespace or line break" in what:
        hint = "; a text that begins with ! or & needs quotes"
    elif "expected <block end>" in what or "did not find expected" in what:
        hint = "; check indentation, quotes and brackets here and above"
    return Problem(f"not valid YAML: {what}{hint}", path=path, line=line)
