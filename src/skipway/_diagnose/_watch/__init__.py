"""`watch`: a training looked at from inside its own loop, and what is made of it."""
