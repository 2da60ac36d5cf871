"""A dense layer and a dense block: channels are added to a list, not to each other."""
