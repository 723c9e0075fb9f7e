"""`interlock doctor`: looks at what a role depends on, and says what is wrong, what that costs and what to do.

port      what a check is: findings out of what one is told. Services bring theirs by entry point `interlock.checks`
bus       the server behind the bus, and what our user may do there
plans     what is on the bus: watchers, plans, proxies
report    findings for people (pure)
cli       the command

Checks look and change nothing, neither on the bus nor at Docker. Nothing here knows a service.
"""
