"""Leader arms: an operator moves them, a follower repeats it."""
