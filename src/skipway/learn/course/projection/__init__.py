"""A shortcut with a 1 × 1 convolution where the block changes the shape."""
