"""Interlock's planner: the services of a cluster become its plan, at the cost of what changed. It never asks Docker."""
