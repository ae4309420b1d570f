"""`python -m convtui.cli`: the same as `convtui`."""

from convtui.cli import main

main()
