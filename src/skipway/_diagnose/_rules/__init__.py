"""The rules, one file for each kind of cause, in the order in which they are asked."""
