"""Citizens at a node: who fetched a licence of mine, answered for a token that this node verified itself (ADR 28)."""
