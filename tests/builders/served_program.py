"""A program in textual-serve's packets: draws its process, its size, and the keys that it gets.

`python served_program.py [stubborn | fails | prints] [ARGUMENTS]`
"""

from __future__ import annotations

import json
import os
import signal
import sys

PACKET_HEAD = 5


def packet(kind: bytes, payload: bytes) -> None:
    os.write(1, kind + len(payload).to_bytes(4, "big") + payload)


def draw(text: str) -> None:
    packet(b"D", f"{text}\n".encode())


def main(how: str = "", *arguments: str) -> int:
    if how == "fails":
        sys.stderr.write("no such log: \x1b]0;owned\x07 last\n")
        return 2
    if how == "prints":
        sys.stdout.write(json.dumps(arguments) + "\n")
        return 0
    if how == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.write(1, b"__GANGLION__\n")
    draw(f"pid {os.getpid()} {os.environ['COLUMNS']}x{os.environ['ROWS']}")
    stdin = sys.stdin.buffer
    while head := stdin.read(PACKET_HEAD):
        payload = stdin.read(int.from_bytes(head[1:], "big"))
        if head[:1] == b"D":
            draw(f"keys {payload.decode()}")
            continue
        meta = json.loads(payload)
        if meta["type"] == "attach":
            draw("a change that only the page before can use")
            packet(b"M", json.dumps({"type": "attached"}).encode())
            draw(f"pid {os.getpid()} {meta['width']}x{meta['height']}")
        elif meta["type"] == "resize":
            draw(f"size {meta['width']}x{meta['height']}")
        elif meta["type"] == "quit" and how != "stubborn":
            packet(b"M", json.dumps({"type": "exit"}).encode())
            print("log: run.jsonl")
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
