"""The bus: partitioned state in Redis or Valkey, each partition a hash (the present) and a stream (how it came about).

    connection   the two clients of one server; foreign exceptions become ours here
    keys         every key of the installation, documented
    state        Snapshot, Entry, StateWriter: atomic, fenced, versioned writing
    follower     reading any number of partitions: snapshot, then entries that follow on, resync on any doubt
    lease        the right to act, with a fencing token
    fields       the typed layer: names of hash fields and their codec
    registry     which service clusters there are
    outcomes     what each proxy runs
    env          what a region's watcher knows of Docker and of itself
    acl          who may touch which key: users of the server, one for each role
    embedded     a server of our own, from a wheel or the system
    scripts/     the Lua that makes each step atomic

Nothing here knows Docker, planning or proxies. The portable subset is Redis 7.0 = Valkey 9.
"""
