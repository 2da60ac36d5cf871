"""An encoder and a decoder, joined at every level by concatenation."""
