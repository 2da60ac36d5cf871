"""Gates that start at zero, and more than one stream."""
