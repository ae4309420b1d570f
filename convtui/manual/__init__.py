"""The manual: Markdown pages that ship with the program, and how they are found and laid out."""
