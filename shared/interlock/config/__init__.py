"""Interlock's config.toml as values: pure, text in, values out; `interlock.runtime.settings` reads the file."""
