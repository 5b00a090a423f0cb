"""The department log's way to evidence: opened, published, cosigned by the others, anchored."""
