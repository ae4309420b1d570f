"""Ways to damage a file, each made of a seeded generator: the same seed does the same damage."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any, Final

Mutation = Callable[[bytes, random.Random], bytes]
_Path = tuple[Any, ...]

_RAW: Final = "\ue0f0"
"""Stands around JSON that Python would not write, until it is written."""


_DEEP: Final = 40
"""Levels below which nothing is damaged."""


def raw(text: str) -> str:
    """JSON as it is to stand in the file."""
    return f"{_RAW}{text}{_RAW}"


def _nested(depth: int) -> str:
    return raw('{"a":[' * (depth // 2) + "1" + "]}" * (depth // 2))


VALUES: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1, 1.5, -0.0, 1 << 31, 1 << 53, 1 << 63, 1 << 64, -(1 << 70),
    10**400, raw("9" * 4300), raw("9" * 5000), raw("1e308"), raw("-1e308"), raw("1e999"),
    raw("NaN"), raw("Infinity"), raw("-Infinity"), raw("1e-400"),
    "", " ", "x", "0", "1", "-1", "true", "null", "provider", "persona", "responder", "x" * 300,
    "y" * 20_000, "\ud800", "a\udfffb", "\x00", "a\x00b", "\x1b[2J\x9b\x7f", "\u202e\u200b",
    "e" + "\u0301" * 500, "\n\r\n\t", "../../../etc/passwd", "/", ".", "CON", "~", "a/b\\c:d*e?",
    "%s%n{0}{x.y}", "<b>&amp;]]>", "2026-13-45", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-12:00", "2026-03-04T05:06:07", "20260304", "now", "é" * 200,
    [], {}, [None], [[]], [[], {}], [1, "a", None, {}], ["a"] * 50, {"": ""}, {"a": 1}, {"a": {}},
    {"type": None, "message": 7, "frames": 3}, [{"role": 5, "content": {"a": []}}],
    [{"function": None}], [{"function": {"name": None, "arguments": 4}, "id": 7}],
    {"kind": [], "by": {}, "at_turn": "x", "detail": []}, [{"signal": "x", "start": -5, "end": 99}],
    [{"session": 10**9, "turn": -1, "speaker": "provider", "text": "t"}],
    [{"type": "text", "text": ["a"]}, {"type": 3}, 4], _nested(60), _nested(250), _nested(900),
    _nested(6000),
)  # fmt: skip
"""What may stand where something else belongs."""


def written(value: Any) -> bytes:
    """JSON, with what is raw in it put in place, lone surrogates as escapes."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    parts = text.replace(f'"{_RAW}', _RAW).replace(f'{_RAW}"', _RAW).split(_RAW)
    for place in range(1, len(parts), 2):
        parts[place] = parts[place].replace('\\"', '"')
    text = "".join(parts)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def paths(value: Any, path: _Path = ()) -> Iterator[_Path]:
    """The paths of all values in JSON data, but its own."""
    waiting = [(value, path)]
    while waiting:
        holder, at = waiting.pop()
        for name, item in holder.items() if isinstance(holder, dict) else enumerate(holder):
            yield (*at, name)
            if isinstance(item, (dict, list)) and len(at) < _DEEP:
                waiting.append((item, (*at, name)))


def _load(line: bytes) -> Any:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, (dict, list)) and value else None


def _holder(data: Any, path: _Path) -> Any:
    for name in path[:-1]:
        data = data[name]
    return data


def _on_json(change: Callable[[Any, random.Random], Any]) -> Mutation:
    """A change of one line's JSON, or of the whole file's where that is one document."""

    def mutate(data: bytes, dice: random.Random) -> bytes:
        try:
            return in_json(data, dice)
        except RecursionError:
            # What was put in before is nested too deep to be written again.
            return flip(data, dice)

    def in_json(data: bytes, dice: random.Random) -> bytes:
        whole = _load(data) if data.count(b"\n") != 1 else None
        if whole is not None:
            return written(change(whole, dice))
        lines = data.split(b"\n")
        places = [place for place, line in enumerate(lines) if line[:1] in (b"{", b"[")]
        if not places:
            return flip(data, dice)
        # The first lines say most.
        place = dice.choice(places[:4]) if dice.random() < 0.2 else dice.choice(places)
        value = _load(lines[place])
        if value is not None:
            lines[place] = written(change(value, dice))
        return b"\n".join(lines)

    return mutate


def _wrong_value(data: Any, dice: random.Random) -> Any:
    for _ in range(dice.choice((1, 1, 1, 2, 5))):
        path = dice.choice(list(paths(data)) or [()])
        if path:
            # A copy: what is put in here may be damaged next.
            _holder(data, path)[path[-1]] = deepcopy(dice.choice(VALUES))
    return data


def _missing(data: Any, dice: random.Random) -> Any:
    for _ in range(dice.choice((1, 1, 2, 4))):
        path = dice.choice(list(paths(data)) or [()])
        if path:
            del _holder(data, path)[path[-1]]
    return data


def _swapped(data: Any, dice: random.Random) -> Any:
    found = list(paths(data))
    one, other = dice.choice(found), dice.choice(found)
    if one[: len(other)] != other and other[: len(one)] != one:
        first, second = _holder(data, one), _holder(data, other)
        first[one[-1]], second[other[-1]] = second[other[-1]], first[one[-1]]
    return data


def _wrapped(data: Any, dice: random.Random) -> Any:
    path = dice.choice(list(paths(data)) or [()])
    if path:
        holder = _holder(data, path)
        value = holder[path[-1]]
        holder[path[-1]] = deepcopy(
            dice.choice(([value], {"value": value}, [value, 1], str(value)))
        )
    return data


def _renamed(data: Any, dice: random.Random) -> Any:
    found = [path for path in paths(data) if isinstance(path[-1], str)]
    if found:
        path = dice.choice(found)
        holder = _holder(data, path)
        holder[dice.choice(("", "x", "type", "\ud800", "turn", path[-1].upper()))] = holder.pop(
            path[-1]
        )
    return data


def _twice(data: Any, dice: random.Random) -> Any:
    """An object in which a name stands twice, the second time with another value."""
    if not isinstance(data, dict):
        return data
    name = dice.choice(list(data))
    again = f"{json.dumps(name)}:{written(dice.choice(VALUES)).decode('utf-8', 'surrogatepass')}"
    first = written(data).decode("utf-8", "surrogatepass")
    return raw(f"{first[:-1]},{again}}}")


def flip(data: bytes, dice: random.Random) -> bytes:
    """Some bytes are others."""
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 8, 40)) if changed else 0):
        changed[dice.randrange(len(changed))] = dice.choice(b'\x00\xff"\\{}[]:,0e\n\r\x1b\xedaz')
    return bytes(changed)


def _bytes_in(*pieces: bytes) -> Mutation:
    def mutate(data: bytes, dice: random.Random) -> bytes:
        at = dice.randrange(len(data) + 1)
        return data[:at] + dice.choice(pieces) + data[at:]

    return mutate


def _truncated(data: bytes, dice: random.Random) -> bytes:
    return data[: dice.randrange(len(data) + 1)]


def _hole(data: bytes, dice: random.Random) -> bytes:
    first, last = sorted((dice.randrange(len(data) + 1), dice.randrange(len(data) + 1)))
    return data[:first] + data[last:]


def _on_lines(change: Callable[[list[bytes], random.Random], list[bytes]]) -> Mutation:
    def mutate(data: bytes, dice: random.Random) -> bytes:
        lines = data.split(b"\n")
        return b"\n".join(change(lines, dice)) if len(lines) > 2 else flip(data, dice)

    return mutate


def _repeated(lines: list[bytes], dice: random.Random) -> list[bytes]:
    place = dice.randrange(len(lines))
    return lines[:place] + [lines[place]] * dice.choice((2, 3, 20)) + lines[place + 1 :]


def _reordered(lines: list[bytes], dice: random.Random) -> list[bytes]:
    if dice.random() < 0.3:
        head, rest = lines[:1], lines[1:]
        dice.shuffle(rest)
        return head + rest
    one, other = dice.randrange(len(lines)), dice.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return lines


def _dropped(lines: list[bytes], dice: random.Random) -> list[bytes]:
    for _ in range(dice.choice((1, 1, 3, 10))):
        if len(lines) > 1:
            del lines[dice.randrange(len(lines))]
    return lines


def _joined(lines: list[bytes], dice: random.Random) -> list[bytes]:
    place = dice.randrange(len(lines) - 1)
    return [*lines[:place], lines[place] + lines[place + 1], *lines[place + 2 :]]


def _long_line(data: bytes, dice: random.Random) -> bytes:
    lines = data.split(b"\n")
    place = dice.randrange(len(lines))
    size = dice.choice((1 << 20, 5 << 20, 50 << 20) if dice.random() < 0.02 else (1 << 16,))
    lines.insert(place, b'{"seq":1,"t":0,"type":"warning","message":"' + b"x" * size + b'"}')
    return b"\n".join(lines)


MUTATIONS: Final[dict[str, Mutation]] = {
    "wrong value": _on_json(_wrong_value),
    "missing": _on_json(_missing),
    "swapped": _on_json(_swapped),
    "wrapped": _on_json(_wrapped),
    "renamed": _on_json(_renamed),
    "named twice": _on_json(_twice),
    "bytes flipped": flip,
    "truncated": _truncated,
    "hole": _hole,
    "lines repeated": _on_lines(_repeated),
    "lines reordered": _on_lines(_reordered),
    "lines dropped": _on_lines(_dropped),
    "lines joined": _on_lines(_joined),
    "bad UTF-8": _bytes_in(
        b"\xff", b"\xc3(", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\xc0\x80"
    ),
    "NUL bytes": _bytes_in(b"\x00", b"\x00" * 4096),
    "blank lines": _bytes_in(b"\n", b"\n\n\n", b"\r\n", b" \n"),
    "byte order mark": lambda data, dice: b"\xef\xbb\xbf" + data,
    "CRLF": lambda data, dice: data.replace(b"\n", b"\r\n"),
    "UTF-16": lambda data, dice: data.decode("utf-8", "replace").encode("utf-16"),
    "long line": _long_line,
    "empty": lambda data, dice: dice.choice((b"", b"\n", b" ", b"{}", b"[]", b"null\n", b"{")),
    "twice": lambda data, dice: data + data,
}
"""Every way, by name."""
_OFTEN: Final = (
    "wrong value", "wrong value", "wrong value", "wrong value", "missing", "missing", "swapped",
    "wrapped", "renamed",
)  # fmt: skip


def mutated(data: bytes, dice: random.Random) -> tuple[str, bytes]:
    """A damaged copy, and how it was damaged; sometimes in two ways."""
    names = [dice.choice((*_OFTEN, *MUTATIONS))]
    if dice.random() < 0.15:
        names.append(dice.choice(tuple(MUTATIONS)))
    for name in names:
        data = MUTATIONS[name](data, dice)
    return " + ".join(names), data
