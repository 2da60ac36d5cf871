"""`x + F(x)`, around two convolutions."""
