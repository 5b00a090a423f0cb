"""The ``civicledger`` command: one file per group of commands."""
