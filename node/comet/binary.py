"""Where the CometBFT program is."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from ledger.errors import ConflictError, NotFoundError

#: The one version this software is tested with: formats and timeouts are its own.
VERSION = "0.38.25"
_INSTALL = f"scripts/comet installs it, or: go install github.com/cometbft/cometbft/cmd/cometbft@v{VERSION}"
_CHECKOUT = Path(__file__).resolve().parents[2]


def find_cometbft(named: str = "", environ: Mapping[str, str] | None = None) -> Path:
    """The program: the one named in ``node.toml``, else on the PATH, in ``$GOBIN``, in ``~/go/bin`` or ``.build/bin``.

    Raises: NotFoundError(comet.missing).
    """
    for path in _places(named, os.environ if environ is None else environ):
        if path.is_file() and os.access(path, os.X_OK):
            return path.absolute()
    where = f"{named} is no program" if named else "the program cometbft is not installed"
    raise NotFoundError("comet.missing", where, hint=_INSTALL)


def check_version(binary: Path) -> None:
    """Raises: ConflictError(comet.version) for any other version, NotFoundError(comet.missing) when it does not run."""
    try:
        told = subprocess.run(
            [binary, "version"], capture_output=True, timeout=20, check=True, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NotFoundError("comet.missing", f"{binary} does not run: {error}", hint=_INSTALL) from error
    version = told.stdout.decode("ascii", "replace").strip().removeprefix("v")[:40]
    if version.split("+")[0] != VERSION:
        raise ConflictError(
            "comet.version", f"{binary} is CometBFT {version}", hint=_INSTALL, expected=VERSION, actual=version
        )


def _places(named: str, environ: Mapping[str, str]) -> Iterator[Path]:
    if named:
        yield Path(named)
        return
    # What this checkout installed is of the right version; a cometbft elsewhere may belong to another network.
    yield _CHECKOUT / ".build" / "bin" / "cometbft"
    found = shutil.which("cometbft", path=environ.get("PATH"))
    if found:
        yield Path(found)
    if environ.get("GOBIN"):
        yield Path(environ["GOBIN"]) / "cometbft"
    yield Path(environ.get("GOPATH") or Path.home() / "go") / "bin" / "cometbft"
