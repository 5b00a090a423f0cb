"""The table of the contracts' custom errors: who must act, plain words, next step. Complete by a test."""

from __future__ import annotations

from ledger.chain.refusalkinds import Refusal
from ledger.chain.refusalkinds import conflict as _conflict
from ledger.chain.refusalkinds import denied as _denied
from ledger.chain.refusalkinds import invalid as _invalid
from ledger.chain.refusalkinds import unknown as _unknown
from ledger.chain.refusals_medical import RECOGNITION

_CONSORTIUM = {
    "Consortium__NotActiveMember": _denied(
        "{account} is not the account of an active member",
        "use the member's active account key; a suspension ends by vote",
    ),
    "Consortium__NotCurrentContract": _denied(
        "{caller} is not the {name} contract in force; that is {current}", "read the address with contractOf again"
    ),
    "Consortium__UnknownMember": _unknown("no member has the code {id}", "list the members: civicledger member list"),
    "Consortium__WrongStatus": _conflict(
        "member {id} has status {status} (1 active, 2 suspended, 3 removed)", "this change fits another status only"
    ),
    "Consortium__MemberExists": _conflict("{id} is a member already", "reinstate it instead of admitting it"),
    "Consortium__MalformedId": _invalid("{id} is no member id", "use the 18 characters of the credit code"),
    "Consortium__MalformedHandle": _invalid("{handle} is no handle", "use 1 to 32 of a-z, 0-9 and -"),
    "Consortium__HandleTaken": _conflict(
        "the handle {handle} of region {region} belongs to {by}", "choose another handle: one never changes hands"
    ),
    "Consortium__MalformedRegion": _invalid("{region} is no region code", "use the six digits of GB/T 2260"),
    "Consortium__MalformedRoles": _invalid(
        "roles {roles} are unknown", "bits: 1 supervisor, 2 auditor, 4 quality, 8 health, 16 hospital"
    ),
    "Consortium__OriginChanged": _invalid(
        "{id} was a member under another region or handle", "admit it again under its old region and handle"
    ),
    "Consortium__AccountInUse": _conflict("account {account} belongs to {by}", "make a new account key"),
    "Consortium__MalformedAccount": _invalid("{account} cannot be an account", "give the address of an account key"),
    "Consortium__NoPossession": _denied(
        "the holder of {account} did not sign (signed by {signer})", "sign accountKeyDigest with the new account key"
    ),
    "Consortium__MalformedKey": _invalid(
        "{material} is no key of role {role}", "roles are 1 to 9, material is not zero"
    ),
    "Consortium__KeyKnown": _conflict(
        "key {material} was entered before, by {by} in role {role}",
        "make a new key: one key has one role of one member",
    ),
    "Consortium__UnknownKey": _unknown("key {material} was never entered", "list the keys: civicledger key list"),
    "Consortium__NotOwnKey": _denied("key {material} belongs to {owner}", "a member changes its own keys only"),
    "Consortium__KeyEnded": _conflict(
        "key {material} has ended already (status {status}: 2 retired, 3 compromised)", "rotate in a new key"
    ),
    "Consortium__TooManyKeys": _conflict(
        "{id} has the most keys allowed, {limit}", "end keys that are out of use first"
    ),
    "Consortium__WrongKeyTimes": _invalid(
        "a key cannot be valid from {validFrom} to {validTo}", "begin now or later and end after that (unix seconds)"
    ),
    "Consortium__MustReplace": _conflict(
        "role {role} has the active key {active}", "name that key as the one replaced"
    ),
    "Consortium__WrongKeyRole": _invalid(
        "key {material} has role {actual}, not {expected}", "name a key of the same role"
    ),
    "Consortium__KeyInService": _conflict(
        "key {material} of role {role} is in service", "replace it by a new key instead of ending it"
    ),
    "Consortium__WrongEnd": _invalid(
        "a key's end cannot be {since}; the latest possible is {latest}", "an end moves earlier only (unix seconds)"
    ),
    "Consortium__NoConsensusKey": _conflict("{id} has no consensus key", "enter a consensus key first"),
    "Consortium__ValidatorUnchanged": _conflict("{id} has validator = {validator} already", "nothing is to be changed"),
    "Consortium__TooFewValidators": _conflict(
        "{left} validators would be left, at least {minimum} are needed", "add or replace a validator first"
    ),
    "Consortium__SetMovesTooFast": _conflict(
        "{removed} removed and {added} added of {setBefore} validators within {windowBlocks} blocks is too much",
        "wait for the window to pass: at most a third of the set may change",
    ),
    "Consortium__RotatedRecently": _conflict(
        "{id} changed its consensus key at height {atHeight}", "wait {windowBlocks} blocks between changes"
    ),
    "Consortium__WasInForce": _conflict(
        "the contract at {account} was in force before", "deploy the adopted code anew: a contract is in force once"
    ),
    "Consortium__NotReplaceable": _denied(
        "{name} can never be replaced", "members and votes stay with a city for good: other rules need another city"
    ),
    "Consortium__WrongCode": _conflict(
        "the code at {account} has hash {actual}, the proposal says {expected}", "deploy the adopted code first"
    ),
    "Consortium__MalformedName": _invalid("{name} is no contract name", "use 1 to 32 printable ASCII characters"),
    "Consortium__NameTaken": _conflict("the name {name} is given already", "list each contract once"),
    "Consortium__LengthsDiffer": _invalid("{names} names for {contracts} contracts", "give one name per contract"),
    "Consortium__NoFounders": _invalid("a consortium needs founders", "name at least one founding member"),
    "Consortium__NothingToChange": _conflict("the proposal changes nothing", "check the present value first"),
    "Consortium__WrongVersion": _conflict("version {version} does not follow {current}", "versions only grow"),
    "Consortium__WrongHeight": _invalid(
        "height {height} is too early; the earliest is {earliest}", "choose a later one"
    ),
    "Consortium__UnknownKind": _invalid("there are no proposals of kind {kind}", "kinds are 1 to 14"),
    "Consortium__MalformedProposal": _invalid(
        "{length} bytes are no arguments of a proposal of kind {kind}", "encode the arguments as the kind says"
    ),
    "Consortium__WrongExpiry": _invalid(
        "a proposal cannot expire at {expiry}", "choose a time from {earliest} to {latest} (unix seconds)"
    ),
    "Consortium__UnknownProposal": _unknown("there is no proposal {proposalId}", "list the proposals"),
    "Consortium__ProposalClosed": _conflict(
        "proposal {proposalId} is closed (state {state}: 2 executed, 3 expired)", "make a new proposal"
    ),
    "Consortium__AlreadyVoted": _conflict("{voter} has voted on proposal {proposalId} already", "a vote is final"),
    "Consortium__TargetMayNotVote": _denied(
        "{voter} is what proposal {proposalId} is about and has no vote on it", "leave the decision to the others"
    ),
    "Consortium__NotCarried": _conflict(
        "proposal {proposalId} has {yes} yes of {electorate} votes", "more than two thirds must agree"
    ),
    "Consorted__NotAContract": _invalid("no contract stands at {consortium}", "make the Consortium first"),
}

_DIRECTORY = {
    "Directory__UnknownDataset": _unknown("there is no dataset {id}", "list the datasets: civicledger dataset list"),
    "Directory__DatasetExists": _conflict("dataset {id} is published already", "add a version instead"),
    "Directory__WrongDatasetId": _invalid(
        "the dataset id is {actual}, by provider and resource code it is {expected}", "compute the id of your own code"
    ),
    "Directory__MalformedResourceCode": _invalid(
        "a resource code of {length} characters", "use 1 to 64 visible ASCII characters"
    ),
    "Directory__NotProvider": _denied(
        "dataset {id} belongs to {provider}, not to {sender}", "only its provider changes a dataset"
    ),
    "Directory__Withdrawn": _conflict("dataset {id} is withdrawn", "publish a new dataset"),
    "Directory__UnknownSharing": _invalid(
        "sharing type {sharing} is unknown", "1 unconditional, 2 conditional, 3 not shared"
    ),
    "Directory__UnknownLevel": _invalid("level {level} is unknown", "1 general, 2 important, 3 core"),
    "Directory__NoLegalBasis": _invalid(
        "a dataset that is not shared needs a legal basis", "give the digest of the legal basis"
    ),
    "Directory__Missing": _invalid("{field} is missing", "give a value other than zero"),
    "Directory__Unchanged": _conflict("nothing of {id} would change", "check the present value first"),
    "Directory__UnknownVersion": _unknown("dataset {id} has no version {number}", "versions count from 1"),
    "Directory__UnknownEntry": _unknown("there is no list entry {id}", "list the entries: civicledger list"),
    "Directory__EntryClosed": _conflict("list entry {id} is closed (status {status})", "add a new entry"),
    "Directory__NotAllowed": _denied("{sender} may not change list entry {id}", "ask its author or the supervisor"),
    "Directory__UnknownMember": _unknown("{id} is no active member", "list the members: civicledger member list"),
    "Directory__WrongDeadline": _invalid(
        "the deadline {deadline} is out of range", "choose a time from {earliest} to {latest} (unix seconds)"
    ),
}

_GRANTS = {
    "Grants__UnknownGrant": _unknown("there is no grant {id}", "list the grants: civicledger grant list"),
    "Grants__Missing": _invalid("{field} is missing", "an absent constraint never means unlimited: give a value"),
    "Grants__DatasetWithdrawn": _conflict("dataset {dataset} is withdrawn", "look for its successor in the catalogue"),
    "Grants__DatasetNotShared": _denied("dataset {dataset} is not shared", "file a demand with the legal need"),
    "Grants__OwnDataset": _conflict("dataset {dataset} is the requester's own", "own data needs no grant"),
    "Grants__WrongDeadline": _invalid(
        "the deadline {deadline} is out of range", "choose a time from {earliest} to {latest}, 1 to 90 days ahead"
    ),
    "Grants__WrongValidity": _invalid(
        "a validity until {validUntil} is out of range", "choose a time from {earliest} to {latest} (unix seconds)"
    ),
    "Grants__Closed": _conflict("grant {id} is closed (status {status}: 3 refused, 4 revoked)", "request a new grant"),
    "Grants__Expired": _conflict("grant {id} expired at {validUntil}", "request a new grant"),
    "Grants__NotAllowed": _denied(
        "{sender} has no say over grant {id}",
        "its provider, a supervisor where the level needs one, or its consumer has",
    ),
    "Grants__AlreadyApproved": _conflict(
        "grant {id} has this approval (bits {approvals})", "nothing is left to approve"
    ),
    "Grants__ApprovalMissing": _conflict(
        "grant {id} lacks an earlier approval (bits {missing})", "order: provider, supervisor, consortium vote"
    ),
    "Grants__ApprovalNotNeeded": _conflict(
        "grant {id} needs no approval {approval} (needed bits {needed})", "leave it as it is"
    ),
    "Grants__NotConsortium": _denied("{sender} is not the Consortium", "this approval comes from a carried vote only"),
    "Grants__WrongConsumer": _conflict(
        "grant {id} is for {actual}, the vote was about {expected}", "make a proposal with the grant's own consumer"
    ),
    "Grants__NeverActive": _conflict("grant {id} was never active", "settle grants that were in use"),
    "Grants__AlreadySettled": _conflict("period {period} of grant {id} is settled", "a settlement is final"),
}

_ANCHORS = {
    "Anchors__NotOwnLog": _denied("{sender} may not anchor the log of {member}", "a member anchors its own log only"),
    "Anchors__EmptyLog": _invalid("the log of {member} is empty", "anchor after the first record"),
    "Anchors__LogShrinks": _conflict(
        "the log of {member} is anchored at {anchored} records, not {size}",
        "a log never shrinks: restore it, or have the members vote to retire it",
    ),
    "Anchors__RootDiffers": _conflict(
        "at {size} records the log of {member} is anchored with root {anchored}, not {root}",
        "one size has one root: the log was rewritten",
    ),
    "Anchors__IndexRootDiffers": _conflict(
        "at {size} records the index of {member} is anchored with root {anchored}, not {indexRoot}",
        "one size has one index root",
    ),
    "Anchors__ProofFails": _conflict(
        "the log of {member} at {size} records does not continue the anchored {anchored} records",
        "the log was rewritten, or the proof is from other sizes: run civicledger log fsck",
    ),
    "Anchors__MalformedNote": _invalid("notes of {lengthA} and {lengthB} bytes", "a note has 1 to 8192 bytes"),
    "Anchors__SameNote": _invalid("both notes are the same", "a fork is shown by two different notes"),
    "Anchors__ForkKnown": _conflict("this fork is reported already: {digest}", "nothing is left to do"),
}

_LICENCES = {
    "Licences__MalformedCode": _invalid(
        "{code} is no licence type code", "use the 18 characters of the defining body's credit code and three digits"
    ),
    "Licences__UnknownType": _unknown(
        "there is no licence type {code}", "list the types: civicledger licence type list"
    ),
    "Licences__TypeExists": _conflict("licence type {code} is defined already", "change its description instead"),
    "Licences__TypeWithdrawn": _conflict("licence type {code} is withdrawn", "define a new type"),
    "Licences__Unchanged": _conflict("nothing of licence type {code} would change", "check the present value first"),
    "Licences__NotDefiningBody": _denied(
        "{sender} does not decide on licence type {code}",
        "the body in the code decides; a supervisor does while that body is no active member",
    ),
    "Licences__NotForItself": _denied(
        "{sender} may not accredit itself for licence type {code} in the place of its defining body",
        "ask another supervisor",
    ),
    "Licences__Missing": _invalid("{field} is missing", "give a value other than zero"),
    "Licences__UnknownMember": _unknown("{id} is no active member", "list the members: civicledger member list"),
    "Licences__AlreadyAccredited": _conflict(
        "{member} is accredited for {code} without an end (span {number})", "end or shorten that span first"
    ),
    "Licences__WrongSpan": _invalid(
        "an accreditation cannot last from {validFrom} to {validUntil}",
        "begin at {earliest} or later, when the last span is over, and end after that, by {latest} (unix seconds)",
    ),
    "Licences__UnknownAccreditation": _unknown(
        "{member} has no accreditation {number} for {code}",
        "list them: civicledger licence accreditations {code} --member {member}",
    ),
    "Licences__WrongEnd": _invalid(
        "an accreditation that ends at {current} (0: open) cannot end at {validUntil}",
        "an end moves earlier only, to {earliest} at the earliest (unix seconds)",
    ),
    "Licences__NotAccredited": _denied(
        "{member} is not accredited for licence type {code} at {time}",
        "the body that defines the type accredits: civicledger licence accreditations {code}",
    ),
    "Licences__UnknownList": _unknown("{issuer} has no status list {number}", "lists count from 1"),
    "Licences__WrongListNumber": _conflict("the next status list is number {next}, not {number}", "leave no gaps"),
    "Licences__WrongVersion": _conflict(
        "the next version of status list {number} is {next}, not {version}",
        "another process recorded one: read the head again",
    ),
    "Licences__OtherUri": _conflict(
        "status list {number} has the uri with digest {recorded}, not {uriDigest}",
        "a list keeps its uri, because licences name it: open a new list",
    ),
    "Licences__WrongBits": _invalid(
        "entries of {bits} bits (the list has {recorded}, 0: a new list)", "use 1, 2, 4 or 8, and always the same"
    ),
    "Licences__WrongSize": _invalid(
        "a status list of {inflatedBytes} bytes", "from {least}, because a list never shrinks, to {most}"
    ),
    "Licences__SameList": _conflict(
        "status list {number} has not changed since version {version} ({listDigest})", "nothing is to be recorded"
    ),
}

#: Custom error -> what to tell.
REFUSALS: dict[str, Refusal] = {**_CONSORTIUM, **_DIRECTORY, **_GRANTS, **_ANCHORS, **_LICENCES, **RECOGNITION}
