"""What renderers share, whatever their proxy: nothing here knows one. Pure.

tokens   text that may be written, and the environment of templates that writes nothing else
values   what must hold of a value before any proxy is given it
hosts    a virtual host's file, and its name in what is refused
"""
