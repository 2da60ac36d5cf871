"""Where skips can go: chains and streams of weight layers, plans, and places in a network."""
