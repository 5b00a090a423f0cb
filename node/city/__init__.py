"""A whole city on one machine: founding, starting and demonstrating it."""
