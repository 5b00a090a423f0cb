"""The catalogue, the three lists, grants and deadlines, as pure rules."""
