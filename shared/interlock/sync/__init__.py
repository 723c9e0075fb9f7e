"""Pure pieces of keeping two sides in step. No I/O, no threads; the clock is an argument."""
