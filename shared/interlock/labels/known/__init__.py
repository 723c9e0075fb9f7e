"""The labels themselves, one family a file. `registry` finds every module in here: a new label is a new file.

A module has `LABELS`, a tuple of `Label`, and may have `CHECKS`: functions of what the whole service asks for, which
tell what one label alone cannot.
"""
