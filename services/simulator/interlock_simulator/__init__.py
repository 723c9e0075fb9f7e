"""A Docker Engine API with no Docker behind it: for trying out, for benchmarks, for tests.

Pure core (`values`, `profile`, `workload`, `addresses`, `swarm`, `orchestrator`, `lifecycle`, `rolling`, `machine`,
`changes`, `filters`, `shapes`, `events`, `faults`: the clock and the random source are arguments) and shells (`engine`,
`process`, `vip`, `api`, `app`, `cli`, `client`). It imports no other Interlock service and none imports it,
`demo` excepted.
"""
