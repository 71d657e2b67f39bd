"""Policies: their files, clients and servers, chunks and their execution, authority and takeovers."""
