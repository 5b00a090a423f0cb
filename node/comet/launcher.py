"""Becomes CometBFT: run as a program of its own (``python -I -S launcher.py PARENT BINARY ARGUMENT...``).

Whatever ends the node ends CometBFT: an orphan would go on voting with a key that a restarted node votes with too. What
is set here survives the exec; it cannot be done between fork and exec of a program with threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Arrange for SIGKILL at the parent's end, keep every file private, and become the program."""
    parent, binary = int(sys.argv[1]), sys.argv[2]
    if ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        sys.exit("comet: prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        sys.exit("comet: the node ended before CometBFT began")
    os.umask(0o077)
    os.execv(binary, [binary, *sys.argv[3:]])  # noqa: S606 - the program the node's operator installed


main()
