"""Who this node is and whom it trusts: key files, TLS identities, peers, certificates by the chain."""
