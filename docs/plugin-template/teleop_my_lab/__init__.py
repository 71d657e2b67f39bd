"""Devices of my lab for teleop-app."""
