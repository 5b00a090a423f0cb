"""A department's daemon: it holds the keys, writes the log, follows the chain and serves the department's gRPC."""
