"""Plain gradient descent by hand: `w - lr * dL/dw`."""
