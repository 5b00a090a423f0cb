"""A city of medicine with an office that issues two medical certificates of one examination."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from medical_city import DAY_S, USCC, City, eventually
from whole_city import now_s, settle

from ledger import codec
from ledger.directory.grants import encode_scope, make_scope
from ledger.licences.templates import TEMPLATES
from ledger.medical.certificates import encode_content
from ledger.v1 import department_pb2, department_pb2_grpc, reports_pb2
from ledger.v1 import licences_pb2 as pb
from ledger.v1 import licences_pb2_grpc as rpc
from ledger.v1.reports_pb2_grpc import ReportServiceStub
from node.cli.connect import every
from tests.ledger.medical.bundles import Person, encode
from tests.ledger.medical.examinations import examination

#: An office is a member that is no hospital. The health commission defines the types and accredits it.
OFFICE, HOSPITAL = "quality", "west"
FOOD, DRIVER = USCC["health"] + "101", USCC["health"] + "102"
FORMS = {FOOD: TEMPLATES["health-certificate"], DRIVER: TEMPLATES["driver-medical"]}
CLERK = {
    FOOD: {"CZZT": "张试检", "ZZBH": "JK{n}", "KZ_XB": "男", "KZ_CYLB": "餐饮服务"},
    DRIVER: {"CZZT": "张试检", "ZZBH": "SJ{n}", "KZ_XB": "男", "KZ_CSRQ": "1990-03-07", "KZ_SQZJCX": "C1"},
}
BASIS = hashlib.sha256(b"decision").digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    """The city, and a grant for each type of certificate."""

    city: City
    grants: dict[str, bytes]

    def certify(self, type_: str, person: Person, number: int, **changes: Any) -> pb.CertifyResponse:
        """A certificate of a person's examination."""
        values: dict[str, Any] = {
            "grant": self.grants[type_],
            "holder": person.identity,
            "use_cause": "申请办证",
            "type": type_,
            "template": FORMS[type_].id,
            "fields": {name: text.format(n=number) for name, text in CLERK[type_].items()},
        } | changes
        return self.fetching.Certify(pb.CertifyRequest(**values), timeout=300)

    @property
    def fetching(self) -> rpc.FetchingServiceStub:
        """The office's own service."""
        return rpc.FetchingServiceStub(self.city.channel(OFFICE))

    def examine(self, person: Person, number: str, *findings: str, days: int = 1, **changes: Any) -> bytes:
        """A report of an examination taken in at the hospital; its id."""
        taken_s = now_s() - days * DAY_S - 900
        times = {"taken_s": taken_s, "issued_s": taken_s + 600} | changes
        data = encode(examination(person, USCC[HOSPITAL], number, *findings, **times))
        stub = ReportServiceStub(self.city.channel(HOSPITAL))
        taken = stub.Ingest(reports_pb2.IngestReportRequest(fhir=data), timeout=180)
        assert taken.state in ("offered", "corrected"), taken.outcome
        return bytes(taken.report)

    def records(self, at: str, type_: str, **body: Any) -> list[Any]:
        """Records of a log whose bodies have these values."""
        found = self.city.records(at, type_)
        return [one for one in found if all(one.body.get(name) == value for name, value in body.items())]

    def changed(self) -> dict[bytes, pb.CertifiedExamination]:
        """What needs the office's decision, by certificate."""
        found = every(self.fetching.ListExaminations, pb.ListExaminationsRequest(changed=True), "examinations")
        return {bytes(one.licence.id): one for one in found}


def settled(city: City) -> Town:
    """Define the types, accredit the office, grant it the examinations."""
    maker = city.nodes["health"].context
    licences = maker.contracts.licences
    for type_ in FORMS:
        maker.sender.send(licences.address, licences.encode_define(type_, BASIS))
        maker.sender.send(licences.address, licences.encode_accredit(type_, USCC[OFFICE], basis_digest=BASIS))
    settle(city)
    office = city.nodes[OFFICE].context
    for type_ in FORMS:
        eventually(
            lambda type_=type_: office.contracts.licences.accredited_at(type_, USCC[OFFICE], now_s()), "accreditation"
        )
    return Town(city=city, grants={type_: grant(city, type_) for type_ in FORMS})


def grant(city: City, type_: str) -> bytes:
    """The hospital publishes the examination for a type, the office is granted the fields its certificate needs."""
    form = FORMS[type_]
    names = (*form.examined, "CZZTDM")
    metadata = codec.encode(
        {
            "abstract": "办证所需的体检结论",
            "fields": [{"name": name, "title": name, "type": "string"} for name in names],
            "format": "examination",
            "level": "general",
            "name": form.zh,
            "openness": "conditional",
            "provider": USCC[HOSPITAL],
            "resourceCode": f"EXAM-{form.examination}",
            "sharing": {"condition": "履行职责", "type": "conditional"},
            "updateCycle": "continuous",
            "v": 1,
        }
    )
    catalogue = department_pb2_grpc.DatasetServiceStub(city.channel(HOSPITAL))
    header = department_pb2.PublishRequest(header=department_pb2.PublishHeader(metadata=metadata))
    content = department_pb2.PublishRequest(chunk=encode_content(form.examination))
    dataset = catalogue.Publish(iter((header, content)), timeout=180).dataset
    settle(city)
    asked = department_pb2_grpc.GrantServiceStub(city.channel(OFFICE)).Request(
        department_pb2.RequestGrantRequest(
            dataset=dataset.id,
            purpose="licensing",
            matter=f"310100-{form.examination}",
            scope=encode_scope(make_scope(names, None)),
            ceiling=100,
            valid_until=now_s() + DAY_S,
        ),
        timeout=180,
    )
    settle(city)
    approve = department_pb2.ApproveGrantRequest(id=asked.grant.id)
    department_pb2_grpc.GrantServiceStub(city.channel(HOSPITAL)).Approve(approve, timeout=180)
    settle(city)
    return bytes(asked.grant.id)
