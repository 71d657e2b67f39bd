"""Brings recordings from elsewhere into a store."""
