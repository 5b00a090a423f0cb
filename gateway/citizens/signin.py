"""Signing in: OpenID Connect's authorisation code with PKCE, state and nonce.

Source: OpenID Connect Core 1.0, section 3.1; RFC 6749, section 4.1; RFC 7636; RFC 9207; RFC 9700.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

from gateway.citizens.sessions import LONGEST_S, Begun, Page, Seal, Session, Sessions, wrong_state
from gateway.config import SignIn
from ledger.errors import NotAllowedError, UntrustedError
from ledger.licences import b64
from ledger.licences.fields import read_citizen
from ledger.openid.link import Link
from ledger.openid.proof import ProofKey
from ledger.openid.provider import Endpoints, Provider

CALLBACK: Final = "/citizen/callback"
_MAX_CODE: Final = 4_096
_ERROR: Final = re.compile(r"[a-z_]{1,40}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """Where the browser goes, and what it carries meanwhile."""

    url: str
    cookie: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A session's name for the browser, and the page it goes to."""

    name: str
    language: str
    page: Page


class SignInDesk:
    """Signs citizens in and out. Thread-safe; ``clock``: Unix milliseconds."""

    def __init__(self, settings: SignIn, clock: Callable[[], int]) -> None:
        """Raises: InvalidInputError(citizen.*), a setting is wrong."""
        self.settings = settings
        self.sessions = Sessions(clock)
        self._clock = clock
        self._seal = Seal(clock)
        self._provider = Provider(settings.issuer, Link(settings.ca_file), clock)

    def begin(self, page: Page, language: str) -> Begin:
        """Begin a sign-in. Raises: UnavailableError(citizen.provider-away), UntrustedError(citizen.provider-answer)."""
        endpoints = self._provider.endpoints()
        key = ProofKey.generate()
        begun = Begun(
            state=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            secret=key.secret,
            language=language,
            page=page,
        )
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self.settings.client_id,
                "redirect_uri": self._redirect_uri,
                "scope": self.settings.scopes,
                "state": begun.state,
                "nonce": key.nonce,
                "code_challenge": b64.encode(hashlib.sha256(begun.verifier.encode()).digest()),
                "code_challenge_method": "S256",
                # A phone is handed on: who signs in here says so here, each time.
                "prompt": "login",
                "ui_locales": "zh-CN" if language == "zh" else "en",
            }
        )
        joint = "&" if "?" in endpoints.authorization else "?"
        return Begin(url=f"{endpoints.authorization}{joint}{query}", cookie=self._seal.close(begun))

    def opened(self, cookie: str) -> Begun:
        """The sign-in that a browser began. Raises: NotAllowedError(citizen.state)."""
        return self._seal.open(cookie)

    def finish(self, begun: Begun, said: Mapping[str, str]) -> Finished:
        """The session after the provider sent the browser back with ``said``.

        Raises: NotAllowedError(citizen.state | citizen.refused), UntrustedError(citizen.*),
        InvalidInputError(licence.citizen), UnavailableError(citizen.provider-away).
        """
        if not hmac.compare_digest(said.get("state", "").encode(), begun.state.encode()):
            raise wrong_state()
        endpoints = self._provider.endpoints()
        # Which provider answered: else a second one could take the first one's code (RFC 9207).
        if said.get("iss", None if endpoints.names_itself else self.settings.issuer) != self.settings.issuer:
            raise UntrustedError("citizen.answer-issuer", "another service answered the sign-in", hint="begin again")
        if "error" in said:
            reason = said["error"] if _ERROR.match(said["error"]) else "unknown"
            raise NotAllowedError(
                "citizen.refused", f"the sign-in was not completed ({reason})", hint="begin again, if you want to"
            )
        code = said.get("code", "")
        if not 1 <= len(code) <= _MAX_CODE:
            raise wrong_state()
        key = ProofKey.of_secret(begun.secret)
        token = self._redeem(endpoints, code, begun.verifier)
        found = self._provider.verify(
            token, audience=self.settings.client_id, claim=self.settings.claim, nonce=key.nonce, max_age_s=LONGEST_S
        )
        # A claim that is no citizen's number would be found in no log.
        read_citizen(found.identity)
        until_s = min(found.expires_s, found.issued_s + LONGEST_S)
        name = self.sessions.begin(Session(token=token, key=key, until_ms=until_s * 1_000))
        return Finished(name=name, language=begun.language, page=begun.page)

    @property
    def _redirect_uri(self) -> str:
        return self.settings.public_url + CALLBACK

    def _redeem(self, endpoints: Endpoints, code: str, verifier: str) -> str:
        settings = self.settings
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
        }
        authorization = ""
        if settings.secret and endpoints.basic:
            # RFC 6749, section 2.3.1: both parts are form-encoded before they are joined.
            pair = f"{quote_plus(settings.client_id)}:{quote_plus(settings.secret)}"
            authorization = "Basic " + base64.b64encode(pair.encode()).decode("ascii")
        else:
            form["client_id"] = settings.client_id
            if settings.secret:
                form["client_secret"] = settings.secret
        answer: Any = self._provider.redeem(urlencode(form).encode(), authorization)
        token = answer.get("id_token") if isinstance(answer, dict) else None
        if not isinstance(token, str):
            raise UntrustedError(
                "citizen.provider-answer",
                "the service that citizens sign in at gave no ID token",
                hint="its operator can say more: the scope openid must be allowed for this gateway",
            )
        return token
