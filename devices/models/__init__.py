"""Kinematic models of the arms that the drivers move."""
