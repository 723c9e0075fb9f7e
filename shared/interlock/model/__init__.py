"""The words of design.md as frozen values: no I/O, no clock, no parsing. Everything else may import this."""
