"""Mutual recognition of medical results (检查检验结果互认): rules as data, and the decision about each item."""
