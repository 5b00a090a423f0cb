//! civicledger's native core.
