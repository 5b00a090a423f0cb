"""SD-JWT: read, opened and verified by RFC 9901, with every rule under which a verifier must reject.

A presentation is ``<JWT>~<disclosure>~…~`` or, with key binding, ``<JWT>~<disclosure>~…~<KB-JWT>``. A digest is always
taken over the text of a disclosure as it came, never over what was decoded from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import InitVar, dataclass
from typing import Any, Final, Protocol

from ledger.errors import InvalidInputError, UntrustedError
from ledger.evidence.seal import Seal
from ledger.licences import b64, jws, strictjson
from ledger.licences.suites import Suite

MAX_BYTES: Final = 65_536
MAX_DISCLOSURES: Final = 256

#: The claims that carry digests. Source: RFC 9901, 4.1.1, 4.2.4.
SD: Final = "_sd"
SD_ALG: Final = "_sd_alg"
ELEMENT: Final = "..."

#: One step of a claim path: a name in an object, or a place in an array as it was issued.
Step = str | int
Path = tuple[Step, ...]

#: For whoever checks a signature in this package, and nobody else.
SEAL: Final = Seal()

_HINT: Final = "take the licence again from where it was issued; if it is refused again, tell its issuer"


@dataclass(frozen=True, slots=True, kw_only=True)
class SdJwt:
    """A presentation in its parts, well-formed but **not verified**.

    ``issued``: the issuer-signed JWT; ``disclosures``: their texts in order; ``key_binding``: the KB-JWT, if one came;
    ``presented``: everything up to and including the last ``~``, which ``sd_hash`` is over.
    """

    issued: str
    jws: jws.Jws
    claims: Mapping[str, Any]
    disclosures: tuple[str, ...]
    key_binding: str | None
    presented: str

    @property
    def kid(self) -> str:
        """The key named in the header. Raises: InvalidInputError(licence.kid)."""
        return self.jws.kid

    @property
    def suite(self) -> Suite:
        """The suite named in the header."""
        return self.jws.suite


class Presented(Protocol):
    """What judging asks of a presentation whose claims are opened already."""

    @property
    def kid(self) -> str: ...
    @property
    def suite(self) -> Suite: ...
    @property
    def key_binding(self) -> str | None: ...
    @property
    def presented(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosure:
    """A disclosure that was found by its digest: ``text`` as it came, ``path`` of what it discloses, ``parents`` the
    texts of the disclosures it lies in."""

    text: str
    path: Path
    parents: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The payload with what was disclosed put in its place and all digests taken out; ``hidden``: how many digests had
    no disclosure (held back, or decoys)."""

    claims: Mapping[str, Any]
    disclosures: tuple[Disclosure, ...]
    hidden: int

    @property
    def names(self) -> tuple[Step, ...]:
        """For every disclosure the top-level claim it is, or lies in."""
        return tuple(item.path[0] for item in self.disclosures)


class Claims(Protocol):
    """What reading a licence asks of opened claims: see :class:`Opened`."""

    @property
    def claims(self) -> Mapping[str, Any]: ...
    @property
    def names(self) -> tuple[Step, ...]: ...
    @property
    def hidden(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedClaims:
    """Opened claims whose signature was checked: only :func:`verify`, and the batch that does the same natively, build
    them. The fields are those of :class:`Opened`."""

    claims: Mapping[str, Any]
    names: tuple[Step, ...]
    hidden: int
    seal: InitVar[Seal]

    def __post_init__(self, seal: Seal) -> None:
        SEAL.check(seal)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedOpening(VerifiedClaims):
    """Verified claims, and the disclosures they were put together from."""

    disclosures: tuple[Disclosure, ...]


def parse(text: str) -> SdJwt:
    """The parts of a presentation. Nothing is verified yet.

    Raises: InvalidInputError(licence.size | licence.no-tilde | licence.disclosures | licence.empty-disclosure), and
    what :func:`ledger.licences.jws.parse` raises. Source: RFC 9901, section 4.
    """
    if len(text) > MAX_BYTES:
        raise _malformed("licence.size", f"longer than {MAX_BYTES} characters", MAX_BYTES, len(text))
    issued, tilde, rest = text.partition("~")
    if not tilde:
        raise _malformed("licence.no-tilde", "a token without the ~ that a licence has after its signed part")
    *disclosures, last = rest.split("~")
    if len(disclosures) > MAX_DISCLOSURES:
        raise _malformed(
            "licence.disclosures", f"more than {MAX_DISCLOSURES} disclosures", MAX_DISCLOSURES, len(disclosures)
        )
    if "" in disclosures:
        raise _malformed("licence.empty-disclosure", "two ~ with nothing in between")
    signed = jws.parse(issued)
    return SdJwt(
        issued=issued,
        jws=signed,
        claims=signed.claims(),
        disclosures=tuple(disclosures),
        key_binding=last or None,
        presented=text[: len(text) - len(last)],
    )


def verify(sdjwt: SdJwt, spki: bytes, *, typ: str) -> VerifiedOpening:
    """Check type and signature under a key the caller trusts, then open the disclosures.

    Raises: InvalidInputError(licence.typ | …), UntrustedError(licence.signature), and what :func:`open_claims` raises.
    Source: RFC 9901, 7.1.
    """
    sdjwt.jws.require_typ(typ)
    sdjwt.jws.verify(spki)
    opened = open_claims(sdjwt)
    return verified(opened)


def verified(opened: Opened) -> VerifiedOpening:
    """For verifiers: what they opened, after they checked the signature over it."""
    return VerifiedOpening(
        claims=opened.claims, names=opened.names, hidden=opened.hidden, disclosures=opened.disclosures, seal=SEAL
    )


def open_claims(sdjwt: SdJwt) -> Opened:
    """Put every disclosure in its place. It says nothing about the signature.

    Raises: InvalidInputError(licence.sd-alg | licence.sd-alg-nested | licence.sd-array | licence.sd-digest |
    licence.array-placeholder | licence.array-digest | licence.disclosure-form | licence.disclosure-length |
    licence.element-length | licence.salt | licence.claim-name-type | licence.claim-name | licence.claim-name-dots |
    licence.base64* | licence.json*), UntrustedError(licence.digest-twice | licence.disclosure-twice |
    licence.unreferenced | licence.claim-exists). Source: RFC 9901, 7.1, steps 2 to 5.
    """
    suite = sdjwt.jws.suite
    named = sdjwt.claims.get(SD_ALG, "sha-256")
    if named != suite.sd_alg:
        raise _malformed("licence.sd-alg", "digests by a hash that is not accepted here", suite.sd_alg, named)
    opening = _Opening(sdjwt.disclosures, suite)
    claims = opening.object(sdjwt.claims, (), ())
    opening.check_all_used()
    return Opened(claims=claims, disclosures=tuple(opening.found), hidden=len(opening.seen) - len(opening.found))


class _Opening:
    """One walk over a payload."""

    __slots__ = ("found", "given", "seen")

    def __init__(self, disclosures: tuple[str, ...], suite: Suite) -> None:
        self.given: dict[str, str] = {}
        for text in disclosures:
            if not text.isascii():
                raise _malformed("licence.base64", "a disclosure is not base64url without padding")
            self.given[b64.encode(suite.digest(text.encode("ascii")))] = text
        if len(self.given) != len(disclosures):
            raise untrusted("licence.disclosure-twice", "the same disclosure came twice")
        self.seen: set[str] = set()
        self.found: list[Disclosure] = []

    def check_all_used(self) -> None:
        """Step 5: every disclosure is referenced by a digest."""
        if len(self.found) != len(self.given):
            raise untrusted(
                "licence.unreferenced",
                "a disclosure that the issuer did not sign: nothing refers to it",
                expected=len(self.found),
                actual=len(self.given),
            )

    def value(self, value: Any, path: Path, parents: tuple[str, ...]) -> Any:
        """A value with everything disclosed in it."""
        if isinstance(value, dict):
            return self.object(value, path, parents)
        if isinstance(value, list):
            return self.array(value, path, parents)
        return value

    def object(self, value: Mapping[str, Any], path: Path, parents: tuple[str, ...]) -> dict[str, Any]:
        """Steps 3.c.ii, 3.e and 3.f."""
        # Disclosures in disclosures could nest deeper than any of them does alone.
        if len(path) > strictjson.MAX_DEPTH:
            raise _malformed("licence.json-depth", f"nested deeper than {strictjson.MAX_DEPTH}")
        opened: dict[str, Any] = {}
        for name, item in value.items():
            if name == SD:
                continue
            if name == ELEMENT:
                raise _malformed("licence.array-placeholder", "the name ... stands outside an element of an array")
            if name != SD_ALG:
                opened[name] = self.value(item, (*path, name), parents)
            elif path:
                raise _malformed("licence.sd-alg-nested", "_sd_alg stands below the top level")
        for digest in self._digests(value):
            text = self._take(digest)
            if text is not None:
                name, item = _property(text)
                if name in opened:
                    raise untrusted("licence.claim-exists", "a disclosed claim is there already", actual=name)
                here = (*path, name)
                self.found.append(Disclosure(text=text, path=here, parents=parents))
                opened[name] = self.value(item, here, (*parents, text))
        return opened

    def array(self, value: list[Any], path: Path, parents: tuple[str, ...]) -> list[Any]:
        """Steps 3.c.iii and 3.d: what is not disclosed is left out."""
        if len(path) > strictjson.MAX_DEPTH:
            raise _malformed("licence.json-depth", f"nested deeper than {strictjson.MAX_DEPTH}")
        opened: list[Any] = []
        for place, item in enumerate(value):
            here = (*path, place)
            if not (isinstance(item, dict) and ELEMENT in item):
                opened.append(self.value(item, here, parents))
                continue
            if len(item) != 1:
                raise _malformed("licence.array-placeholder", "the name ... stands beside other names")
            digest = item[ELEMENT]
            if not isinstance(digest, str):
                raise _malformed("licence.array-digest", "the digest of an array's element is not a text")
            text = self._take(digest)
            if text is not None:
                self.found.append(Disclosure(text=text, path=here, parents=parents))
                opened.append(self.value(_element(text), here, (*parents, text)))
        return opened

    def _digests(self, value: Mapping[str, Any]) -> list[str]:
        if SD not in value:
            return []
        listed = value[SD]
        if not isinstance(listed, list):
            raise _malformed("licence.sd-array", "_sd is not an array", "array", type(listed).__name__)
        for digest in listed:
            if not isinstance(digest, str):
                raise _malformed("licence.sd-digest", "a digest in _sd is not a text", "text", type(digest).__name__)
        return listed

    def _take(self, digest: str) -> str | None:
        """The disclosure of a digest, if it came; a digest stands once in the whole. Step 4."""
        if digest in self.seen:
            raise untrusted("licence.digest-twice", "the same digest stands twice", actual=digest[:43])
        self.seen.add(digest)
        return self.given.get(digest)


def read_disclosure(text: str) -> list[Any]:
    """The array in a disclosure: its salt, for a property its name, and its value, not yet judged.

    Raises: InvalidInputError(licence.disclosure-form | licence.salt | licence.base64* | licence.json*).
    """
    value = strictjson.read(b64.decode(text))
    if not isinstance(value, list):
        raise _malformed("licence.disclosure-form", "a disclosure is not an array", "array", type(value).__name__)
    if value and not isinstance(value[0], str):
        raise _malformed("licence.salt", "the salt of a disclosure is not a text", "text", type(value[0]).__name__)
    return value


def _property(text: str) -> tuple[str, Any]:
    parts = read_disclosure(text)
    if len(parts) != 3:
        raise _malformed("licence.disclosure-length", "a claim's disclosure has three parts", 3, len(parts))
    _, name, value = parts
    if not isinstance(name, str):
        raise _malformed("licence.claim-name-type", "the name of a claim is not a text", "text", type(name).__name__)
    if name == SD:
        raise _malformed("licence.claim-name", "a disclosure may not be named _sd")
    if name == ELEMENT:
        raise _malformed("licence.claim-name-dots", "a disclosure may not be named ...")
    return name, value


def _element(text: str) -> Any:
    parts = read_disclosure(text)
    if len(parts) != 2:
        raise _malformed("licence.element-length", "an element's disclosure has two parts", 2, len(parts))
    return parts[1]


def _malformed(code: str, message: str, expected: object = None, actual: object = None) -> InvalidInputError:
    return InvalidInputError(
        code,
        message,
        hint=_HINT,
        expected=expected,
        actual=None if actual is None else ascii(actual)[:60],
    )


def untrusted(code: str, message: str, expected: object = None, actual: object = None) -> UntrustedError:
    """The error of something that the issuer did not sign, with what to do then."""
    return UntrustedError(
        code,
        message,
        hint="do not act on this licence: it is not what the issuer signed; ask its issuer",
        expected=expected,
        actual=None if actual is None else ascii(actual)[:60],
    )
