"""The chain rule through a deep network, by hand, and how fast the gradient decays."""
