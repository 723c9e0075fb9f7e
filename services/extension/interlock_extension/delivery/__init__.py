"""Where what was proven good is kept, for a start with the bus away."""
