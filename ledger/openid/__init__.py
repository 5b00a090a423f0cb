"""OpenID Connect for citizens: a provider's discovery document and keys, its ID tokens, and the proof by which a token
speaks to one node alone (``docs/adr/0028-a-citizens-token-at-a-node.md``). Gateway and nodes judge by the same code."""
