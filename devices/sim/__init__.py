"""The simulated bimanual cell."""
