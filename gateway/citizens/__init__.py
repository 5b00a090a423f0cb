"""Citizens sign in by OpenID Connect and see who fetched a licence of theirs. The gateway asks the nodes with the
citizen's own token; it decides nothing, and keeps a session in memory and nowhere else (ADR 28)."""
