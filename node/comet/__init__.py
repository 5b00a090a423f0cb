"""CometBFT beside the node: its home, its process, its RPC, and what they tell about the network."""
