"""`dL/dx = dL/dy (1 + f'(x))`, and why the 1 survives any depth."""
