"""The refusals of the contract Recognition: a part of the table in ``ledger.chain.refusals``."""

from __future__ import annotations

from ledger.chain.refusalkinds import conflict as _conflict
from ledger.chain.refusalkinds import denied as _denied
from ledger.chain.refusalkinds import invalid as _invalid
from ledger.chain.refusalkinds import unknown as _unknown

RECOGNITION = {
    "Recognition__NotCommission": _denied(
        "{sender} is no health commission", "members give the role health by vote: civicledger member propose set-roles"
    ),
    "Recognition__Missing": _invalid("{field} is missing", "give a value other than zero"),
    "Recognition__MalformedCode": _invalid("{code} is no code", "use 1 to 32 visible ASCII characters"),
    "Recognition__WrongVersion": _conflict(
        "the next version of the rules of {region} is {next}, not {version}", "read the versions again: leave no gaps"
    ),
    "Recognition__SameRules": _conflict(
        "version {version} of the rules of {region} is this rule set already ({digest})", "nothing is to be adopted"
    ),
    "Recognition__UnknownRules": _unknown(
        "the rules of {region} have no version {version}", "civicledger medical rules list"
    ),
    "Recognition__RulesFixed": _conflict(
        "version {version} of the rules of {region} is in force from {inForceFrom}, or was withdrawn at {withdrawnAt}",
        "what was in force never changes: adopt the next version",
    ),
    "Recognition__WrongTime": _invalid(
        "the time {time} is out of range", "choose a time from {earliest} to {latest} (unix seconds)"
    ),
    "Recognition__WrongCount": _invalid("{count} entries in one call", "send 1 to {most}"),
    "Recognition__ItemKnown": _conflict("item {item} is known already", "leave it out"),
    "Recognition__UnknownItem": _unknown(
        "no item {item} is on the chain", "adopting a rule set makes its items known: civicledger medical rules adopt"
    ),
    "Recognition__WrongLevel": _invalid("there is no level {level}", "1 to {most}, or 0 to take an institution off"),
    "Recognition__Unchanged": _conflict("nothing of {id} would change", "check the present value first"),
    "Recognition__UnknownInstitution": _unknown(
        "{member} was never entered as an institution", "list them: civicledger medical institution list"
    ),
    "Recognition__OtherRegion": _denied(
        "{id} is the business of region {region}, the sender speaks for {own}", "ask that region's health commission"
    ),
    "Recognition__NotHospital": _denied(
        "{member} is no active member with the role hospital",
        "members give the role by vote: civicledger member propose set-roles",
    ),
    "Recognition__RangeExists": _conflict("the label range {range} was opened before", "choose another code"),
    "Recognition__UnknownRange": _unknown("there is no label range {range}", "civicledger medical range list"),
    "Recognition__RangeEnded": _conflict("the label range {range} ended at {validUntil}", "open another range"),
    "Recognition__NotQualityBody": _denied(
        "{member} is not the quality body of label range {range}",
        "the body that the range names records, and has the role quality: civicledger medical range list",
    ),
    "Recognition__WrongEnd": _invalid(
        "a range that ends at {current} (0: open) cannot end at {validUntil}",
        "an end moves earlier only, to {earliest} at the earliest (unix seconds)",
    ),
    "Recognition__SpanTooLong": _invalid(
        "a result cannot be valid from {validFrom} to {validUntil}",
        "it ends after it begins, by {latest} (unix seconds)",
    ),
    "Recognition__EqaKnown": _conflict(
        "this round is recorded already, as {id}", "revoke that record first if it is wrong"
    ),
    "Recognition__UnknownEqa": _unknown(
        "no quality assessment {id} is on the chain", "list them: civicledger medical eqa list"
    ),
    "Recognition__WrongRevocation": _invalid(
        "a record revoked since {current} (0: not) cannot be revoked since {since}",
        "choose a time from {earliest} to {latest}; a revocation moves earlier only (unix seconds)",
    ),
    "Recognition__WrongRegion": _invalid(
        "{region} is no other region", "use the six digits (GB/T 2260) of the region to agree with"
    ),
    "Recognition__NotAscending": _invalid("item {place} does not follow the one before", "list each item once, sorted"),
    "Recognition__UnknownAgreement": _unknown(
        "there is no agreement {number}", "list them: civicledger medical agreement list"
    ),
    "Recognition__NotParty": _denied(
        "{sender} has no say over agreement {number}",
        "the other region's commission accepts, and either region's commission ends it",
    ),
    "Recognition__AgreementClosed": _conflict(
        "agreement {number} was accepted at {acceptedAt} and ended at {endedAt} (0: not)", "propose another agreement"
    ),
}
