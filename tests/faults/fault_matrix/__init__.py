"""The fault matrix: what is done to a recording, and what must still be true afterwards.

`python tests/faults/campaign.py` runs it; docs/development.md says what each row does.
"""
