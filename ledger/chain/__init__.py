"""The chain as a member's node holds it: genesis, the embedded engine, contract bindings, JSON-RPC, clients."""
