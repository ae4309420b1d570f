"""`python -m convtui` is the command `convtui`."""

from __future__ import annotations

from convtui.cli import main

if __name__ == "__main__":
    main()
