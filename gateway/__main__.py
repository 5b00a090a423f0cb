"""``python -m gateway FOLDER``: serve until a signal comes."""

import os
import sys

from gateway.daemon import main

if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is closed: the threads of gRPC's core must not meet an interpreter that is being taken down.
    os._exit(code)
