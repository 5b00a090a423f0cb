"""What the tests of licences share: a type, an accredited issuer, orders, and a holder's fields."""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from typing import Any

from services_city import USCC, City, eventually
from stdnum.cn import ric

from ledger.v1 import licences_pb2 as pb
from ledger.v1 import licences_pb2_grpc as rpc

#: ``data`` defines the type and accredits ``civil``.
ISSUER = "civil"
TYPE = USCC["data"] + "001"
BASIS = hashlib.sha256(b"decision").digest()
SURNAMES = "赵钱孙李周吴郑王冯陈"


def citizen(number: int) -> str:
    """A well-formed citizen's number."""
    born = date(1930, 1, 1) + timedelta(days=number // 900)
    body = f"310101{born:%Y%m%d}{100 + number % 900}"
    return body + ric.calc_check_digit(body + "0")


def holder(number: int = 1, **changes: str) -> dict[str, str]:
    """The fields of a driving licence."""
    fields = {
        "CZZT": SURNAMES[number % 10] + "试驾员",
        "CZZTDM": citizen(number),
        "CZZTDMLXDM": "111",
        "ZZBH": f"SJ{number:010d}",
        "ZZYXQJZRQ": "2099-12-31",
        "KZ_XB": "女",
        "KZ_CSRQ": "1990-01-01",
        "KZ_GJ": "中国",
        "KZ_ZZ": f"上海市黄浦区测试路{number}号",
        "KZ_ZJCX": "C1",
        "KZ_CCLZRQ": "2012-05-06",
    }
    return {**fields, **changes}


def accredit(city: City, type_: str = TYPE, issuer: str = ISSUER) -> None:
    """Define the type and accredit the issuer, once for all tests."""
    maker = city.context("data")
    licences = maker.contracts.licences
    if licences.licence_type(type_) is None:
        maker.sender.send(licences.address, licences.encode_define(type_, BASIS))
        maker.sender.send(licences.address, licences.encode_accredit(type_, USCC[issuer], basis_digest=BASIS))
    city.settle()
    now = lambda: city.context(issuer).clock() // 1_000  # noqa: E731
    eventually(
        lambda: city.context(issuer).contracts.licences.accredited_at(type_, USCC[issuer], now()), "the accreditation"
    )


def stub(city: City, at: str = ISSUER) -> Any:
    """The issuing service of a node, called by its own member."""
    return city.stub(rpc.IssuingServiceStub, at)


def order(number: int, request: str = "", **changes: Any) -> pb.IssueLicenceRequest:
    """An order for one driving licence."""
    values: dict[str, Any] = {
        "request": request or f"test-{number}",
        "type": TYPE,
        "template": "driving-licence",
        "fields": holder(number),
    }
    return pb.IssueLicenceRequest(**{**values, **changes})
