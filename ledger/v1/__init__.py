"""Generated from proto/ledger/v1 by scripts/gen; never edited."""
