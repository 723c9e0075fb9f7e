"""`interlock import`: today's labels for stack files that have those of HRM or Interlock v1. Text in, text out."""
