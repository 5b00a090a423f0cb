"""Ethereum's JSON-RPC over the embedded chain, in parts: parameters, answers, filters, methods."""
