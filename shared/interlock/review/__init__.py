"""`interlock config`: what a config.toml does here, before a service is started with it."""
