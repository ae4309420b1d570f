"""Long logs are folded by a process of their own, which remembers what came of it."""
