"""MedicalRulesService: rules, institutions, label ranges, quality assessment, agreements of regions, on the chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.chain.bindings.recognition import MAX_ENTRIES, hospitals
from ledger.chain.bindings.recognitionrows import RuleVersionInfo
from ledger.errors import ConflictError, NotFoundError
from ledger.identifiers import parse_region
from ledger.v1 import medicalrules_pb2 as pb
from node.medical.rules import MAX_RULES_BYTES
from node.rpc import medicaltranslate as shown
from node.rpc import translate
from node.rpc.auth import Call
from node.services import fields
from node.services.medicalquality import QualityMethods
from node.trail import records as trail

if TYPE_CHECKING:
    from ledger.chain.account import TransactionOutcome
    from ledger.medical.ruleset import RuleSet

#: Gas of an entry of a batch, and of a call around it.
_ITEM_GAS = 120_000
_CALL_GAS = 500_000
_MAX_TIME_S = 2**40


class MedicalRulesService(QualityMethods):
    """What the Recognition contract says, and the own member's changes of it."""

    # --- rules --------------------------------------------------------------------------------------------------------

    def ListRules(self, request: pb.ListRulesRequest, call: Call) -> pb.ListRulesResponse:
        """Versions of every region, or of one."""
        regions = [parse_region(request.region)] if request.region else list(self.recognition.rule_regions())
        found = [info for region in regions for info in self.recognition.rules(region)]
        return pb.ListRulesResponse(rules=[self._show_rules(info) for info in found])

    def GetRules(self, request: pb.GetRulesRequest, call: Call) -> pb.RuleVersion:
        """One version with its rule set."""
        region = parse_region(request.region) if request.region else self.rules.region()
        info = self._version(region, request.version)
        # Only the own member's calls ask other nodes: two nodes never ask each other in a circle.
        return self._show_rules(info, self.rules.file(info, fetch=call.caller.own))

    def AdoptRules(self, request: pb.AdoptRulesRequest, call: Call) -> pb.RulesResponse:
        """Check a rule set whole, make its items known, and adopt it."""
        from ledger.medical.rules import load_rules, rules_digest

        begin = fields.number("in_force_from", request.in_force_from, 0, _MAX_TIME_S)
        if not 0 < len(request.file) <= MAX_RULES_BYTES:
            raise fields.refuse("file", f"has {len(request.file)} bytes", expected=f"1..{MAX_RULES_BYTES}")
        region = self._own_region()
        rules = load_rules(bytes(request.file))
        digest = rules_digest(rules)
        versions = self.recognition.rules(region)
        last = next((info for info in reversed(versions) if not info.withdrawn_at), None)
        if last is not None and last.digest == digest:
            raise ConflictError(
                "medical.rules-unchanged",
                f"version {last.version} of the rules of {region} is this rule set already",
                hint="nothing is to be done: civicledger medical rules list",
            )
        # Kept first: once it is on chain everybody asks for it.
        self.rules.keep(digest, rules.canonical)
        added = self._add_items(rules)
        outcome = self._send(self.recognition.encode_adopt_rules(len(versions) + 1, digest, begin))
        info = self._version(region, len(versions) + 1)
        trail.write(
            self.context,
            "medical.rules-adopted",
            {"region": region, "version": info.version, "rules": digest.hex(), "from": info.in_force_from},
        )
        return pb.RulesResponse(
            rules=self._show_rules(info), transaction=translate.transaction(outcome), items_added=added
        )

    def WithdrawRules(self, request: pb.WithdrawRulesRequest, call: Call) -> pb.RulesResponse:
        """Take back a version that is not in force yet."""
        region = self._own_region()
        version = fields.number("version", request.version, 1, 2**31)
        digest = self.explained("reason", request.reason)
        outcome = self._send(self.recognition.encode_withdraw_rules(version, digest))
        trail.write(
            self.context,
            "medical.rules-withdrawn",
            {"region": region, "version": version, "reason": digest.hex()},
        )
        return pb.RulesResponse(
            rules=self._show_rules(self._version(region, version)), transaction=translate.transaction(outcome)
        )

    # --- institutions -------------------------------------------------------------------------------------------------

    def ListInstitutions(self, request: pb.ListInstitutionsRequest, call: Call) -> pb.ListInstitutionsResponse:
        """Institutions of every region, or of one, those taken off included."""
        region = parse_region(request.region) if request.region else ""
        found = [info for info in self.recognition.institutions() if region in ("", info.region)]
        active = hospitals(self.context.contracts.consortium)
        return pb.ListInstitutionsResponse(
            institutions=[shown.institution(info, info.member in active) for info in found]
        )

    def SetInstitution(self, request: pb.SetInstitutionRequest, call: Call) -> pb.InstitutionResponse:
        """Enter an institution with its level, change it, or take it off."""
        member = fields.member("member", request.member)
        level = fields.number("level", request.level, 0, 3)
        outcome = self._send(self.recognition.encode_set_institution(member, level))
        info = self.recognition.institution(member)
        if info is None:
            raise self.vanished(outcome)
        trail.write(
            self.context, "medical.institution-set", {"institution": member, "region": info.region, "level": level}
        )
        return pb.InstitutionResponse(
            institution=shown.institution(info, level > 0), transaction=translate.transaction(outcome)
        )

    # --- inside -------------------------------------------------------------------------------------------------------

    def _own_region(self) -> str:
        own = self.context.contracts.consortium.member(self.context.member)
        return own.region if own is not None else ""

    def _version(self, region: str, version: int) -> RuleVersionInfo:
        if not version:
            info = self.recognition.rules_at(region, self.now_s)
        else:
            versions = self.recognition.rules(region)
            info = versions[version - 1] if 1 <= version <= len(versions) else None
        if info is None:
            raise NotFoundError(
                "medical.rules-unknown",
                f"region {region} has no version {version} of the rules"
                if version
                else f"region {region} has no rules in force",
                hint="civicledger medical rules list",
                actual=version,
            )
        return info

    def _add_items(self, rules: RuleSet) -> int:
        """Make known what the chain lacks; how many it was. A crash in between leaves items, which harm nobody."""
        known = set(self.recognition.items())
        missing = [item.id for item in rules.items if item.id not in known]
        for start in range(0, len(missing), MAX_ENTRIES):
            part = missing[start : start + MAX_ENTRIES]
            self._send(self.recognition.encode_add_items(part), gas=_CALL_GAS + _ITEM_GAS * len(part))
        return len(missing)

    def _show_rules(self, info: RuleVersionInfo, file: bytes = b"") -> pb.RuleVersion:
        present = self.recognition.rules_at(info.region, self.now_s)
        return shown.rule_version(info, present.version if present else 0, self.now_s, file)

    def _send(self, calldata: bytes, gas: int = 0) -> TransactionOutcome:
        return self.send(calldata, gas)
