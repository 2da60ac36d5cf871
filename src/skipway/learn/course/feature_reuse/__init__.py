"""Which earlier layers a trained dense block reads, from its weights."""
