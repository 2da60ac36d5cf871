"""A forward read and written anew, as a person would write it."""
