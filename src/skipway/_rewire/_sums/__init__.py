"""The residual sums that a network has, under another rule: one by one, or a stretch at once."""
