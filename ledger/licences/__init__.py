"""E-licences: identifiers, credentials, status lists, slips and the verdict; pure."""
