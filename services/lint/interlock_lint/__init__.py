"""`interlock lint`: stack files read offline, judged by the planner's own code; with a bus also a dry run."""
