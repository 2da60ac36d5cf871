"""What is done to the forward of one module, and how a whole plan is applied."""
