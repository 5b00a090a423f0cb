"""Becomes CometBFT: run as a program of its own (``python -I -S launcher.py PARENT BINARY ARGUMENT...``).

Whatever ends the node ends CometBFT: an orphan would go on voting with a key that a restarted node votes with too. What
is set here survives the exec; it cannot be done between fork and exec of a program with threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_TIMERSLACK = 29
#: CometBFT v0.38 looks at its own state every 100 microseconds (consensus reactor, updateRoundStateRoutine): at rest
#: that is 3 to 4 % of a core. With so much slack the kernel lets it sleep, for about 0.6 %; messages wake it at once.
_SLACK_NS = 20_000_000


def main() -> None:
    """Arrange for SIGKILL at the parent's end, keep every file private, and become the program."""
    parent, binary = int(sys.argv[1]), sys.argv[2]
    library = ctypes.CDLL(None)
    if library.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        sys.exit("comet: prctl(PR_SET_PDEATHSIG) failed")
    library.prctl(_PR_SET_TIMERSLACK, ctypes.c_ulong(_SLACK_NS), 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("comet: the node ended before CometBFT began")
    os.umask(0o077)
    os.execv(binary, [binary, *sys.argv[3:]])  # noqa: S606 - the program the node's operator installed


main()
