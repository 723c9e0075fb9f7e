"""Interlock demo."""
