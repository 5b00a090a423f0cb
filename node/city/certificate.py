"""The demonstration's certificate: an office asks a hospital for what one certificate needs of an examination, under a
grant, and issues it (一检多证); and the messages to patients that the hospitals kept, in numbers alone."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Final

from ledger.errors import FatalError
from ledger.licences.templates import HEALTH_CERTIFICATE
from ledger.v1 import licences_pb2 as pb
from ledger.v1 import licences_pb2_grpc as rpc
from node.city import clinic, holders, steps, ward
from node.city.data import examinations
from node.city.office import DEFINER, define_type
from node.city.story import Story
from node.cli.connect import CALL_TIMEOUT, Connection
from node.cli.texts import t
from node.licences.fetching import HOLDER

#: Number of the type; the licences of the story have those before.
_NUMBER: Final = 4
_OFFICE: Final = "health"
#: Nobody's.
_PHONE: Final = "+8613000000000"


def certify(of: Mapping[str, Connection], hospital: Connection, story: Story) -> None:
    """A health certificate for an invented person whom the hospital examined and found fit; ``of``: by handle."""
    form, office, person = HEALTH_CERTIFICATE, of[_OFFICE], holders.invented("女")
    code = f"{of[DEFINER].member}{_NUMBER:03d}"
    define_type({handle: of[handle] for handle in (DEFINER, _OFFICE)}, code, form, office.member)
    dataset = steps.publish(hospital, examinations(hospital.member, form))
    names = [*form.examined, HOLDER]
    asked = steps.request_grant(
        office, dataset, purpose="licensing", matter="310100-food-handler", fields=names, rows={}
    )
    steps.approve(hospital, asked.id)
    steps.wait_active(office, asked.id)
    sent = clinic.examination(hospital.member, person.number, form.examination, int(time.time()))
    (taken,) = ward.take_in([hospital], [sent], lambda _: None)
    ward.reachable(hospital, sent.patient, _PHONE)
    request = pb.CertifyRequest(
        grant=asked.id,
        holder=person.number,
        use_cause="演示：申请健康证明",
        type=code,
        template=form.id,
        fields={"CZZT": person.name, "ZZBH": f"JK{secrets.randbelow(10**8):08d}", "KZ_XB": "女", "KZ_CYLB": "餐饮服务"},
        operator_pseudonym="clerk-demo",
    )
    done = office.stub(rpc.FetchingServiceStub).Certify(request, timeout=CALL_TIMEOUT)
    if (done.examination.report, done.issued.licence.state) != (taken.report, "valid"):
        raise FatalError("demo.certificate", "the certificate rests on another examination")
    story.tell(
        t("an examination, a certificate made of it (一检多证)", "一检多证：凭一次体检办证"),
        t(
            f"{form.en} issued; the office was given {len(names)} fields, both signed",
            f"已签发{form.zh}；发证机构仅取得 {len(names)} 个字段，双方签名",
        ),
        certificate={"template": form.id, "state": done.issued.licence.state, "version": done.examination.version},
    )


def messages(hospitals: Sequence[Connection], least: int, story: Story) -> None:
    """How many messages to patients the hospitals kept; at ``least`` so many steps have one each."""
    counts = [ward.notices(hospital) for hospital in hospitals]
    waiting, delivered = (sum(part) for part in zip(*counts, strict=True))
    if waiting + delivered < least:
        raise FatalError("demo.notices", "patients were not told", expected=least, actual=waiting + delivered)
    story.tell(
        t("messages to patients", "给患者的通知"),
        t(
            f"{waiting + delivered} kept, {delivered} handed over; the others wait for a number, or for the morning",
            f"共 {waiting + delivered} 条，已交付 {delivered} 条；其余待登记号码或待静默时段结束",
        ),
        notices={"waiting": waiting, "delivered": delivered},
    )
