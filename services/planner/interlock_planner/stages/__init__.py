"""The steps of planning, each a pure function: a service's claim, its network, a host's virtual host."""
