"""Evidence: Merkle proofs, checkpoints, chain state, finality, receipts, bundles. Pure: no clock, no files."""
