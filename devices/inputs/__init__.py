"""Operator input devices."""
