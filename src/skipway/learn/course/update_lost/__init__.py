"""Updates that rounding cancels: `w + dw == w`."""
