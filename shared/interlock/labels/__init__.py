"""`com.docker.lb.*`: an explicit registry, one family of labels a file; pure text to values or Problems.

The planner reads services with `reading.read`, the watcher picks clusters with `relevance`, and lint and documentation
walk `registry.LABELS`. Nothing here does I/O, knows Docker, or decides what a route looks like.
"""
