"""An office that issues licences on the chain of the real city, and makes bundles of them as a node does."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from ledger.codec import commitment
from ledger.evidence import licencestate, state
from ledger.evidence.bundle import AnchorParts, assemble
from ledger.evidence.checkpoint import parse_checkpoint, parse_note
from ledger.evidence.licencebundle import ISSUED_TYPE, LicenceProof, StatusProof
from ledger.evidence.pieces import ContractEvidence, LicenceEvidence, contract_evidence
from ledger.licences import credential, identifier, issuing, statustoken
from ledger.licences.status import StatusList
from ledger.licences.suites import Signer
from ledger.licences.templates import TEMPLATES
from ledger.model import KeyRole, Record
from tests.ledger.evidence.real_city import RealCity
from tests.ledger.licences.licence_keys import ISSUER, salts, signer
from tests.ledger.licences.rows import checked

SALT = b"\x5a" * 32
URI = "https://licences.example.gov.cn/licence/status/1"
PLACE = 5
DAY = 86_400
#: The body that defines the type.
BODY = 2


@dataclass(slots=True)
class Office:
    """Member 1 of the city issues; ``spans``: its accreditations."""

    city: RealCity
    key: Signer = ISSUER
    spans: list[int] = field(default_factory=list)
    versions: int = 0

    @property
    def member(self) -> str:
        return self.city.owner.uscc

    @property
    def code(self) -> str:
        return self.city.members[BODY].uscc + "011"

    @property
    def now_s(self) -> int:
        return self.city.now_ms // 1_000

    # --- on the chain -------------------------------------------------------------------------------------------------
    def found(self) -> None:
        """Enter the key, define the type, accredit, and let a day pass."""
        self.new_key(self.key)
        licences = self.city.contracts.licences
        assert self.city.send(licences.encode_define(self.code, b"\x01" * 32), to=licences.address, who=BODY)
        self.accredit()
        self.wait(3_600)

    def new_key(self, key: Signer) -> None:
        consortium = self.city.contracts.consortium
        material = hashlib.sha256(key.spki).digest()
        assert self.city.send(consortium.encode_rotate_key(KeyRole.ISSUER, material), to=consortium.address)
        self.key = key

    def end_key(self, key: Signer, *, compromised_since: int | None = None) -> None:
        consortium = self.city.contracts.consortium
        data = consortium.encode_end_key(hashlib.sha256(key.spki).digest(), compromised_since=compromised_since)
        assert self.city.send(data, to=consortium.address)

    def accredit(self) -> None:
        licences = self.city.contracts.licences
        data = licences.encode_accredit(self.code, self.member, basis_digest=b"\x02" * 32)
        assert self.city.send(data, to=licences.address, who=BODY)
        self.spans.append(len(self.spans) + 1)

    def end_accreditation(self) -> None:
        licences = self.city.contracts.licences
        data = licences.encode_end_accreditation(self.code, self.member, self.spans[-1], reason_digest=b"\x03" * 32)
        assert self.city.send(data, to=licences.address, who=BODY)

    def record_list(self, values: Sequence[int]) -> str:
        """A version of the status list, on chain; its token."""
        self.versions += 1
        content, token = self.token(values, self.versions)
        licences = self.city.contracts.licences
        data = licences.encode_record_list(
            self.code,
            1,
            self.versions,
            uri_digest=hashlib.sha256(URI.encode()).digest(),
            list_digest=content.digest,
            token_digest=hashlib.sha256(token.encode()).digest(),
            inflated_bytes=len(content.packed),
            bits=2,
        )
        assert self.city.send(data, to=licences.address)
        return token

    def token(self, values: Sequence[int], version: int, key: Signer | None = None) -> tuple[StatusList, str]:
        content, now = StatusList.of_values(list(values), bits=2), self.now_s
        made = statustoken.make(
            key or self.key, content, issuer=self.member, uri=URI, version=version, iat=now, ttl=300, exp=now + DAY
        )
        return content, made

    def wait(self, seconds: int) -> None:
        self.city.now_ms += 1_000 * seconds

    # --- licences -----------------------------------------------------------------------------------------------------
    def licence(self, number: int = 1, *, issued_at: int | None = None, key: Signer | None = None) -> str:
        """A signed licence with all its disclosures."""
        claims = credential.licence_claims(
            TEMPLATES["driving-licence"],
            checked("driving-licence"),
            identity=identifier.make(self.code, self.member, f"2026{number:06d}"),
            issuer_name="测试局",
            issued_at=self.now_s if issued_at is None else issued_at,
            status=credential.StatusPlace(uri=URI, index=PLACE),
            holder_spki=signer("holder").spki,
        )
        return issuing.issue(claims, typ=credential.TYP, signer=key or self.key, salts=salts(str(number)))

    def put_on_record(self, licence: str, salt: bytes = SALT, type_: str = "licence.issued") -> int:
        name = commitment(ISSUED_TYPE, salt, licence.partition("~")[0].encode()).hex()
        body = {"licence": name, "type": self.code}
        return self.city.log.append_record(Record(type=type_, member=self.member, time_ms=self.city.now_ms, body=body))

    # --- bundles ------------------------------------------------------------------------------------------------------
    def evidence(self, consortium: tuple[bytes, ...], licences: tuple[bytes, ...]) -> LicenceEvidence:
        contracts = self.city.contracts
        return LicenceEvidence(
            consortium=self._contract(contracts.consortium.address, consortium),
            licences=self._contract(contracts.licences.address, licences),
        )

    def signer_proof(self, key: Signer, numbers: Sequence[int] = ()) -> LicenceEvidence:
        material = hashlib.sha256(key.spki).digest()
        return self.evidence(
            licencestate.issuer_consortium_slots(material),
            licencestate.issuer_slots(self.code, self.member, tuple(numbers)),
        )

    def status(self, token: str, *, key: Signer | None = None) -> StatusProof:
        """The status list under the present head."""
        key = key or self.key
        return StatusProof(
            token=token,
            key=key.spki,
            number=1,
            version=self.versions,
            signer=self.signer_proof(key),
            head=self.evidence(
                licencestate.list_consortium_slots(), licencestate.list_slots(self.member, 1, self.versions)
            ),
        )

    def proof(self, licence: str, *, key: Signer | None = None, status: StatusProof | None = None) -> LicenceProof:
        """The licence with its issuer's standing under the present head."""
        key = key or self.key
        block = self.city.chain.block(self.city.chain.head().height)
        assert block is not None
        return LicenceProof(
            presentation=licence,
            salt=SALT,
            header=block.header,
            finality=self.city.finality(block.hash),
            members=self._contract(self.city.contracts.consortium.address, (state.active_count_slot(),)),
            key=key.spki,
            spans=tuple(self.spans),
            issuer=self.signer_proof(key, self.spans),
            status=status,
        )

    def bundle(self, index: int, parts: AnchorParts, proof: LicenceProof) -> bytes:
        size = parse_checkpoint(parse_note(parts.note).text).size
        (record,) = self.city.log.read(index, 1)
        return assemble(record, index, self.city.log.prove_inclusion(index, size), parts, licence=proof)

    def _contract(self, address: bytes, slots: tuple[bytes, ...]) -> ContractEvidence:
        native, height = self.city.chain.native, self.city.chain.head().height
        return contract_evidence(native.proof(address, list(slots), height=height), slots)
