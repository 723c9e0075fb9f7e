"""Interlock extension."""
