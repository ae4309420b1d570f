"""Mutated logs and foreign files through everything that reads one: `make fuzz`."""
