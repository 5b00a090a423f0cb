"""LevelDB stores of a node: payloads, record indexes, chain state, witnessed heads, exchanges.

A folder is opened by one process only; everybody else asks the node or reads an export.
"""
