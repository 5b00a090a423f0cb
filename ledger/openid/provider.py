"""An OpenID provider as it describes itself: endpoints by discovery, signing keys, both kept for a while.

Source: OpenID Connect Discovery 1.0, section 4; RFC 8414; RFC 9207 for ``iss`` in the answer.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from ledger.errors import InvalidInputError, LedgerError, UnavailableError, UntrustedError
from ledger.openid.idtoken import ALGORITHMS, UNKNOWN_KEY, IdToken, ProviderKey, read_keys, verify
from ledger.openid.link import Answer, Link, check_url

#: How long endpoints and keys are used on, and for how long beyond that while the provider is away, seconds.
KEEP_S: Final = 3_600
STALE_S: Final = 86_400
#: Further looks for a key that is not known: tokens of anybody's making must not make this server a burden.
LOOKS: Final = 6
LOOKS_S: Final = 60
#: A provider that did not answer is not asked again for this long, milliseconds.
PAUSE_MS: Final = 2_000
_WELL_KNOWN: Final = "/.well-known/openid-configuration"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where a provider does what. ``names_itself``: its answers to browsers carry ``iss``."""

    authorization: str
    token: str
    keys: str
    names_itself: bool
    basic: bool


class Provider:
    """One provider by its issuer. Thread-safe; ``clock``: Unix milliseconds."""

    def __init__(self, issuer: str, link: Link, clock: Callable[[], int]) -> None:
        """Raises: InvalidInputError(citizen.address)."""
        if check_url(issuer, "the provider's issuer").query:
            raise InvalidInputError("citizen.address", "an issuer has no query", actual=ascii(issuer)[:100])
        self.issuer = issuer
        self._link = link
        self._clock = clock
        self._lock = threading.Lock()
        self._endpoints: tuple[int, Endpoints] | None = None
        self._keys: tuple[int, tuple[ProviderKey, ...]] | None = None
        self._looks: deque[int] = deque(maxlen=LOOKS)
        self._failed: tuple[int, UnavailableError] | None = None

    def endpoints(self) -> Endpoints:
        """What the provider says of itself.

        Raises: UnavailableError(citizen.provider-away), UntrustedError(citizen.provider-answer).
        """
        with self._lock:
            self._endpoints, found = self._kept(self._endpoints, self._discover)
            return found

    def verify(
        self,
        token: str,
        *,
        audience: str,
        claim: str,
        nonce: str | None = None,
        max_age_s: int | None = None,
    ) -> IdToken:
        """A token of this provider, judged now; a key that is not known is looked for once more.

        Raises: UntrustedError(citizen.token-* | citizen.provider-*), UnavailableError(citizen.provider-away).
        """

        def judged(keys: Sequence[ProviderKey]) -> IdToken:
            return verify(
                token,
                keys,
                issuer=self.issuer,
                audience=audience,
                claim=claim,
                now_s=self._clock() // 1_000,
                nonce=nonce,
                max_age_s=max_age_s,
            )

        try:
            return judged(self.keys())
        except LedgerError as error:
            if error.code != UNKNOWN_KEY or not self._may_look():
                raise
        with self._lock:
            self._keys = None
        return judged(self.keys())

    def keys(self) -> tuple[ProviderKey, ...]:
        """The signing keys. Raises: as :meth:`endpoints`, and UntrustedError(citizen.provider-keys)."""
        address = self.endpoints().keys
        with self._lock:
            self._keys, found = self._kept(self._keys, lambda: read_keys(document(self._link.get(address))))
            return found

    def redeem(self, form: bytes, authorization: str = "") -> Any:
        """The token endpoint's JSON answer. ``form``: the request, urlencoded; ``authorization``: its header, if any.

        Raises: UntrustedError(citizen.code-refused | citizen.provider-answer), UnavailableError.
        """
        answer = self._link.post(
            self.endpoints().token, form, {"Authorization": authorization} if authorization else {}
        )
        if answer.status in (400, 401):
            raise UntrustedError(
                "citizen.code-refused",
                "the service that citizens sign in at did not take the code back",
                hint="sign in again; if it stays so, the gateway's client id and secret are not what it knows",
            )
        return document(answer)

    def _may_look(self) -> bool:
        with self._lock:
            now = self._clock() // 1_000
            if len(self._looks) == LOOKS and now - self._looks[0] < LOOKS_S:
                return False
            self._looks.append(now)
            return True

    def _kept(self, kept: tuple[int, _T] | None, fetch: Callable[[], _T]) -> tuple[tuple[int, _T], _T]:
        asked = self._clock()
        now = asked // 1_000
        if kept is not None and 0 <= now - kept[0] < KEEP_S:
            return kept, kept[1]
        try:
            if self._failed is not None and 0 <= asked - self._failed[0] < PAUSE_MS:
                raise self._failed[1]
            found = fetch()
        except UnavailableError as error:
            self._failed = self._clock(), error
            if kept is None or now - kept[0] >= STALE_S:
                raise
            return kept, kept[1]
        self._failed = None
        return (now, found), found

    def _discover(self) -> Endpoints:
        said = document(self._link.get(self.issuer.rstrip("/") + _WELL_KNOWN))
        if not isinstance(said, dict) or said.get("issuer") != self.issuer:
            raise _odd("its discovery document names another issuer")
        signed = said.get("id_token_signing_alg_values_supported", ["RS256"])
        if not isinstance(signed, list) or not set(map(str, signed)) & set(ALGORITHMS):
            raise _odd("it signs ID tokens by neither ES256 nor RS256")
        # Absent says nothing (RFC 8414); a list without S256 says that codes would not be bound to us.
        methods = said.get("code_challenge_methods_supported", ["S256"])
        if not isinstance(methods, list) or "S256" not in methods:
            raise _odd("it does not know PKCE with S256")
        ways = said.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        places = {}
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            place = said.get(name)
            if not isinstance(place, str):
                raise _odd(f"its discovery document has no {name}")
            try:
                check_url(place, name)
            except InvalidInputError:
                raise _odd(f"its {name} is no https address") from None
            places[name] = place
        return Endpoints(
            authorization=places["authorization_endpoint"],
            token=places["token_endpoint"],
            keys=places["jwks_uri"],
            names_itself=said.get("authorization_response_iss_parameter_supported") is True,
            basic=isinstance(ways, list) and "client_secret_basic" in ways,
        )


def document(answer: Answer) -> Any:
    """The JSON of an answer.

    Raises: UnavailableError(citizen.provider-away) for a server's failure, UntrustedError(citizen.provider-answer).
    """
    if answer.status >= 500:
        raise UnavailableError(
            "citizen.provider-away",
            f"the service that citizens sign in at fails: it answers {answer.status}",
            hint="try again in some minutes; its operator can say more",
        )
    if answer.status != 200:
        raise _odd(f"it answers {answer.status}")
    try:
        return json.loads(answer.body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise _odd("it does not answer JSON") from None


def _odd(what: str) -> UntrustedError:
    return UntrustedError(
        "citizen.provider-answer",
        f"the service that citizens sign in at cannot be used: {what}",
        hint="compare the issuer in the settings with the provider's documentation, to the letter",
    )
