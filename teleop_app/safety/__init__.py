"""The supervisor between arbitration and every follower."""
