"""Interlock simulator."""
