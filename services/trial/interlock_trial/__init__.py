"""Everything in one container: the bus, a watcher, a planner, and a worker with its nginx, each under its own user."""
