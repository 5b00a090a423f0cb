"""A status list held against the chain: no older one than it has recorded, no other content, and a key that could sign.

One rule for everybody who takes a list: gateway, node and bundle.
"""

from __future__ import annotations

from typing import Final

from ledger.errors import UntrustedError
from ledger.licences.statustoken import VerifiedStatusList
from ledger.model import KeyInfo, StatusHeadInfo

_HINT: Final = "ask the issuer; until this is cleared nobody knows the licence's status"


def check_list(
    given: VerifiedStatusList, *, key: KeyInfo | None, head: StatusHeadInfo | None, newest: bool = True
) -> int:
    """The chain's newest version of a list (0: none recorded), once the list agrees with it.

    ``key``: the issuer's key that signed the list, as the chain has it, None for none; ``head``: the newest version of
    the list on chain; ``newest``: False for a list that spoke in the past. A list that is ahead of the chain passes
    while its key is in force: its transaction is on the way, or its issuer is not accredited any more and may no longer
    record.

    Raises: UntrustedError(licence.status-key | licence.status-uri | licence.status-behind | licence.status-digest).
    """
    if key is None or key.status == "compromised" or _ended(key, given.iat):
        raise _untrusted("licence.status-key", "the status list is signed with a key that had ended", given.kid)
    if head is None:
        return 0
    version = head.newest.version
    if given.uri_digest != head.uri_digest:
        raise _untrusted("licence.status-uri", "the chain has this list under another address", given.uri)
    if given.version is None or (newest and given.version < version):
        raise UntrustedError(
            "licence.status-behind",
            "the issuer's node serves an older status list than it recorded on the chain",
            hint="try again in a minute; if it stays so, ask the issuer",
            expected=version,
            actual=given.version,
        )
    if given.version == version and given.list_digest != head.newest.list_digest:
        raise _untrusted("licence.status-digest", "the status list is not the one recorded on the chain", version)
    if given.version > version and key.status != "active":
        # The signer states the time itself: only what the chain recorded is known to be from before the key's end.
        raise _untrusted(
            "licence.status-key", "a newer status list than the chain's, by a key that has ended", given.kid
        )
    return version


def _ended(key: KeyInfo, time_s: int) -> bool:
    return any(end and time_s >= end for end in (key.ended_at, key.valid_to))


def _untrusted(code: str, message: str, actual: object) -> UntrustedError:
    return UntrustedError(code, message, hint=_HINT, actual=actual)
