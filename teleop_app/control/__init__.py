"""The fixed-rate control loop and its states."""
