"""The chain as a member's node holds it: genesis, the embedded engine, contract bindings, JSON-RPC, clients."""

import sys

#: As it was before web3 came: py_ecc, which web3 brings along, raises it to 100,000 when it is imported, and deeply
#: nested JSON would then overflow the stack of C and end the process instead of raising RecursionError (`provider`).
RECURSION_LIMIT = sys.getrecursionlimit()
