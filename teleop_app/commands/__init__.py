"""The commands of `teleop`, one file each."""
