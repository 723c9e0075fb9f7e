"""The field's words as frozen values: no I/O, no clock, no parsing. Everything else may import this."""
