"""E-licences at a node: issuing them, their status, their publication, judging them."""
