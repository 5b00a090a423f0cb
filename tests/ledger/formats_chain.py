"""Worked examples of exchanges, receipts, the chain, bundles, policies and envelopes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import rlp
from eth_keys.datatypes import Signature
from eth_utils import keccak

from ledger.chain import recovery
from ledger.chain.genesis import Recovered, contract_addresses
from ledger.evidence import carried, envelope, finality, licencestate, light, policy, qbft, receipt, state
from ledger.identifiers import consensus_chain_id, licence_type_bytes32
from ledger.keys import AccountSigner, Ed25519Signer
from ledger.licences.description import TypeDescription, description_digest, encode_description
from ledger.model import KeyRole, format_time, parse_time
from ledger.verify import verify_bundle
from node.exchange.crypto import Sealer
from tests.ledger.chain import recovery_city
from tests.ledger.evidence import comet
from tests.ledger.evidence.city import City
from tests.ledger.evidence.comet_city import CometCity
from tests.ledger.evidence.network_city import NetworkCity
from tests.ledger.formats_page import Fields, example, raw


def shape(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key in sorted(value):
            yield from shape(value[key], f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        yield from dict.fromkeys(line for item in value for line in shape(item, path + "[]"))
    else:
        yield f"{path}: {type(value).__name__}"


@example("exchange-request")
def exchange_request(given: Fields) -> Fields:
    request = receipt.ExchangeRequest(
        chain=raw(given["chain"]),
        provider=given["provider"],
        consumer=given["consumer"],
        grant=raw(given["grant"]),
        dataset=raw(given["dataset"]),
        purpose=given["purpose"],
        matter=raw(given["matter"]),
        operator=raw(given["operator"]),
        query=json.loads(given["query"]),
        nonce=raw(given["nonce"]),
        time_ms=parse_time(given["time"]),
        expires_ms=parse_time(given["expires"]),
    )
    data = receipt.sign_request(Ed25519Signer(KeyRole.RECEIPT, raw(given["seed"])), request)
    return {
        "bytes": data.decode(),
        "exchange": receipt.exchange_id(data).hex(),
        "digest": receipt.request_digest(data).hex(),
    }


@example("payload")
def payload(given: Fields) -> Fields:
    sealer = Sealer(raw(given["key"]), raw(given["exchange"]))
    chunks = [chunk.encode() for chunk in given["chunks"].split()]
    sealed = [sealer.seal(chunk) for chunk in chunks]
    signer = Ed25519Signer(KeyRole.RECEIPT, raw(given["seed"]))
    clear = hashlib.sha256(b"".join(chunks)).digest()
    return {
        "sealed": " ".join(item.hex() for item in sealed),
        "digest": sealer.digest.hex(),
        "acknowledgement": receipt.sign_acknowledgement(signer, raw(given["exchange"]), sealer.digest).hex(),
        "commitment": receipt.payload_commitment(raw(given["salt"]), clear).hex(),
    }


@example("receipt")
def receipt_(given: Fields) -> Fields:
    hexes = ["block", "chain", "commitment", "exchange", "request", "grant", "dataset", "version", "scope"]
    made = receipt.Receipt(
        **{name: raw(given[name]) for name in hexes},
        **{name: given[name] for name in ("provider", "consumer", "purpose")},
        byte_count=int(given["bytes"]),
        requested_ms=parse_time(given["requested"]),
        released_ms=parse_time(given["released"]),
    )
    provider = Ed25519Signer(KeyRole.RECEIPT, raw(given["provider seed"]))
    half = receipt.provider_sign(provider, made)
    consumer = Ed25519Signer(KeyRole.RECEIPT, raw(given["consumer seed"]))
    complete = receipt.countersign(consumer, half, provider.public)
    return {"half": half.decode(), "complete": complete.decode(), "digest": receipt.receipt_digest(complete).hex()}


@example("contract-addresses")
def contract_addresses_(given: Fields) -> Fields:
    return {name: "0x" + address.hex() for name, address in contract_addresses().items()}


@example("header")
def header(given: Fields) -> Fields:
    empty_list, empty_trie, parent = keccak(rlp.encode([])), keccak(rlp.encode(b"")), raw(given["parent"])
    number = int(given["number"])
    fixed = [parent, empty_list, bytes(20), raw(given["state root"]), empty_trie, empty_trie, bytes(256), 0]
    gas = [int(given["gas limit"]), int(given["gas used"])]
    encoded = rlp.encode(
        [*fixed, number, *gas, int(given["timestamp"]), number.to_bytes(8, "big"), keccak(parent), bytes(8), 0]
    )
    fields = finality.decode_header(encoded)
    assert (fields.height, fields.consensus_height, fields.time) == (number, number, int(given["timestamp"]))
    return {"rlp": encoded.hex(), "hash": fields.hash.hex()}


@example("recovery")
def recovery_(given: Fields) -> Fields:
    terms = Recovered(
        chain=raw(given["chain"]),
        chain_id=int(given["chain id"]),
        height=int(given["height"]),
        hash=raw(given["head"]),
        lost=(),
    )
    digest = recovery.agreement_digest(terms, raw(given["consortium"]), raw(given["genesis"]))
    return {"digest": digest.hex(), "signature": AccountSigner(raw(given["secret"])).sign_digest(digest).hex()}


@example("recovery-shape")
def recovery_shape(given: Fields) -> Fields:
    members = recovery_city.make_members()
    made = recovery_city.proposed(recovery_city.make_chain(members), members)
    file = recovery.encode_recovery(recovery_city.signed_by(made, members[2]))
    return {"fields": "".join(f"{line}\n" for line in shape(json.loads(file)))}


@example("licence-slots")
def licence_slots(given: Fields) -> Fields:
    code, issuer = given["type"], given["issuer"]
    times, count, first, by = licencestate.issuer_slots(code, issuer, [int(given["span"])])
    place = int(given["list"]), int(given["version"])
    uri, versions, content, token, packed = licencestate.list_slots(issuer, *place)
    about = TypeDescription(code=code, title_zh=given["title zh"], title_en=given["title en"])
    return {
        "id": licence_type_bytes32(code).hex(),
        "description": encode_description(about).decode(),
        "metadata digest": description_digest(encode_description(about)).hex(),
        "type": times.hex(),
        "accreditations": count.hex(),
        "span": first.hex(),
        "span by": by.hex(),
        "list": uri.hex(),
        "versions": versions.hex(),
        "version": content.hex(),
        "token": token.hex(),
        "version time and size": packed.hex(),
        "address of Licences": state.contract_slot("Licences").hex(),
    }


@example("slots")
def slots(given: Fields) -> Fields:
    return {
        "member": state.member_slots(given["uscc"]).packed.hex(),
        "key": state.key_slots(raw(given["key"])).member.hex(),
        "anchor": state.anchor_slots(given["uscc"]).root.hex(),
        "address of Anchors": state.contract_slot("Anchors").hex(),
        "active members": state.active_count_slot().hex(),
    }


@example("head")
def head_(given: Fields) -> Fields:
    signer = Ed25519Signer(KeyRole.SEQUENCER, raw(given["seed"]))
    signed = finality.sign_head(
        signer,
        finality.Head(
            chain=raw(given["chain"]),
            height=int(given["height"]),
            hash=raw(given["hash"]),
            time_ms=parse_time(given["time"]),
        ),
    )
    item = signed.head
    message = finality.head_bytes(item.chain, item.height, item.hash, item.time_ms)
    return {"bytes": message.hex(), "key": signed.key.hex(), "signature": signed.signature.hex()}


@example("qbft")
def qbft_(given: Fields) -> Fields:
    fields = rlp.decode(raw(given["header"]))
    vanity, validators, vote, round_, seals = rlp.decode(fields[12])

    def digest(kept_round: bytes) -> bytes:
        extra = rlp.encode([vanity, validators, vote, kept_round, []])
        return keccak(rlp.encode([*fields[:12], extra, *fields[13:]]))

    sealers = [Signature(seal).recover_public_key_from_msg_hash(digest(round_)).to_address() for seal in seals]
    decoded = qbft.decode_header(raw(given["header"]))
    assert ["0x" + sealer.hex() for sealer in qbft.verify_seals(decoded, validators)] == sealers
    return {
        "seal digest": digest(round_).hex(),
        "block hash": digest(b"").hex(),
        "sealers": ", ".join(sealers),
    }


@example("light-block")
def light_block(given: Fields) -> Fields:
    assert raw(given["seed"]) == comet.seed(0)
    chain_id = consensus_chain_id(raw(given["genesis digest"]))
    time_ns = light.parse_nanos(given["time"])
    made = comet.Signed(
        height=int(given["height"]),
        time_ns=time_ns,
        app_hash=raw(given["app hash"]),
        chain_id=chain_id,
        set=comet.validators(0),
    )
    block = made.light()
    vote = block.votes[0]
    assert vote is not None
    message = comet.vote_bytes(chain_id, made.height, made.round, made.hash, made.parts, vote.time_ns)
    return {
        "chain id": chain_id,
        "validators hash": made.set.hash.hex(),
        "header hash": light.verify_light([block], chain_id)[0].hash.hex(),
        "signed": message.hex(),
        "bytes": block.encode().decode(),
    }


@example("bundle-shape")
def bundle_shape(given: Fields) -> Fields:
    return {"fields": "".join(f"{line}\n" for line in shape(json.loads(City().bundle())))}


@example("bundle-shape-cometbft")
def bundle_shape_cometbft(given: Fields) -> Fields:
    lines = list(shape(json.loads(CometCity(changed=True).bundle())))
    own, handed = ("finality.light.", "finality.handover[].")
    lines = [line for line in lines if line.startswith("finality.")]
    assert {line.removeprefix(handed) for line in lines if line.startswith(handed)} == {
        line.removeprefix(own) for line in lines if line.startswith(own)
    }, "the light blocks of the hand-over are as the last one"
    return {"fields": "".join(f"{line}\n" for line in lines if not line.startswith(handed))}


@example("bundle-shape-external")
def bundle_shape_external(given: Fields) -> Fields:
    cities = {"sealed": NetworkCity(), "unproven": NetworkCity(sealing=())}
    return {
        name: "".join(f"{line}\n" for line in shape(json.loads(city.bundle())) if line.startswith("finality."))
        for name, city in cities.items()
    }


@example("verdict-shape")
def verdict_shape(given: Fields) -> Fields:
    city = City()
    verdict = verify_bundle(city.bundle(), city.policy()).to_dict()
    verdict["subject"]["record"]["body"] = "…"
    return {"fields": "".join(f"{line}\n" for line in shape(verdict))}


@example("policy-external")
@example("policy-cometbft")
@example("policy")
def policy_(given: Fields) -> Fields:
    data = given["json"].strip().encode()
    trust = policy.decode_policy(data)
    assert policy.encode_policy(trust) == data
    return {"trusted until": format_time(trust.trusted_until_ms)}


@example("envelope")
def envelope_(given: Fields) -> Fields:
    domain = envelope.EnvelopeDomain(chain_id=int(given["chain id"]), consortium=raw(given["consortium"]))
    made = envelope.Envelope(
        chain=raw(given["chain"]),
        caller=given["caller"],
        target=given["target"],
        method=given["method"],
        body_digest=envelope.body_digest(raw(given["body"])),
        nonce=raw(given["nonce"]),
        expires=int(given["expires"]),
    )
    signer = AccountSigner(raw(given["secret"]))
    signature = envelope.sign_envelope(signer, domain, made)
    envelope.verify_envelope(domain, made, signature, signer.address, made.expires - 1)
    return {
        "body digest": made.body_digest.hex(),
        "digest": envelope.envelope_digest(domain, made).hex(),
        "signature": signature.hex(),
    }


@example("carried-answer")
def carried_answer(given: Fields) -> Fields:
    signer = Ed25519Signer(KeyRole.RECEIPT, raw(given["seed"]))
    question, sealed = raw(given["envelope"]), raw(given["sealed"])
    signature = carried.sign_answer(signer, question, sealed)
    carried.verify_answer(signer.public, question, sealed, signature)
    return {"digest": carried.answer_digest(question, sealed).hex(), "signature": signature.hex()}
