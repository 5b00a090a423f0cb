"""Following other members' logs: every step checked, everything kept, every contradiction an alarm."""
