"""``python -m gateway FOLDER``: serve until a signal comes."""

import sys

from gateway.daemon import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
