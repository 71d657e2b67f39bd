"""Clients of policy servers, one protocol a file; each is a `PolicyDriver`."""
