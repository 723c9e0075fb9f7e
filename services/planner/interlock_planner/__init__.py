"""Interlock planner."""
