"""Unix sockets of a node: in its folder, or in a short private folder where the path would be too long."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from ledger.errors import ConflictError

#: sun_path holds 108 bytes with the final zero (unix(7)).
MAX_PATH_BYTES = 107


def socket_path(folder: Path, name: str) -> Path:
    """Where a socket of this name is for this folder: always the same answer for the same folder.

    Raises: ConflictError(comet.socket-folder) when the short folder belongs to somebody else.
    """
    near = folder / name
    if len(os.fsencode(near)) <= MAX_PATH_BYTES:
        return near
    digest = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:16]
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    short = Path(base) / f"civicledger-{os.getuid()}-{digest}"
    short.mkdir(mode=0o700, exist_ok=True)
    status = short.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise ConflictError(
            "comet.socket-folder",
            f"{short} is not a private folder of this user",
            hint=f"remove it, or give the node a folder whose path is shorter than {MAX_PATH_BYTES - len(name)} bytes",
        )
    path = short / name
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise ConflictError(
            "comet.socket-folder",
            f"{path} is too long for a unix socket",
            hint="set XDG_RUNTIME_DIR to a folder with a short path",
        )
    return path
