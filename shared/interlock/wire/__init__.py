"""What goes over the bus as bytes: the msgpack envelope and its codec, and the trail that each hop carries on."""
