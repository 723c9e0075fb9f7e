"""What every Interlock service speaks: model, labels, wire, bus, runtime. Imports no service."""

__version__ = "0.1.0"
