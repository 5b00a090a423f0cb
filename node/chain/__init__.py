"""The chain as this node keeps it: blocks made or followed, heads signed and cosigned, who is a member."""
