"""Interlock watcher."""
