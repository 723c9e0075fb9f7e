"""Real Docker Swarms on one machine: each node an engine of its own in a network namespace of its own. Needs root.

    with Swarm(folder, images=store.product(), nodes=3, managers=1) as swarm:
        swarm.docker("service", "create", …)
        swarm.exec(2, "curl", "http://127.0.0.1:80/")        # inside node 2's network
        swarm.cut(3)

Nothing is left in the machine's own network, and the nodes have no way out. All processes of a node are in a control
group of its own, so they are found without names or stale pids. Where the kernel has no IPVS,
`vips.forwarding(swarm)` makes services' virtual IPs forward.
"""
