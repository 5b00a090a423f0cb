"""The gRPC server: who may call what, errors and values on the wire."""
