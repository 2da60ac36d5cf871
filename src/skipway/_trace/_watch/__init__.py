"""Hooks around someone else's training loop, and the numbers that they bring back."""
