"""Mutual recognition of medical results at a member's node: what it keeps, and the dialogue between hospitals."""
