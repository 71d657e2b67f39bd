"""Clients of policy servers, one file a protocol."""
