"""The routes of the simulated Docker Engine API, and of its control API under `/_sim`. Shells over `changes`
and `shapes`."""
