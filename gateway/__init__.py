"""The public service: reads the chain and the members' logs, verifies what it shows, and writes nothing.

It holds no private key of the ledger and never imports the node.
"""
