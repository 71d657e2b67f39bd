"""Drivers of follower arms, and their link to control."""
