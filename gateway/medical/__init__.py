"""Recognition of results at the gateway."""
