"""What senses and moves: input devices, followers, cameras, sensors and the simulated cell."""
