// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

// Ids are value types, so that a dataset id cannot be passed where a member id is meant. In the ABI all are bytes32.

/// A member: the 18 ASCII characters of its unified social credit code, left-aligned, zero padded.
type MemberId is bytes32;
/// A dataset: SHA-256 of "civicledger/dataset/v1\n" + provider code + "\n" + resource code.
type DatasetId is bytes32;
/// A grant: keccak256(abi.encode(chain id, Grants contract, consumer, counter of that consumer)).
type GrantId is bytes32;
/// An entry of one of the three lists: keccak256(abi.encode(chain id, Directory contract, author, counter of that author)).
type EntryId is bytes32;
/// A licence type: the 21 ASCII characters of its code (18 of the defining body, 3 digits), left-aligned, zero padded.
type LicenceTypeId is bytes32;
/// An item of the rules of recognition (检查检验项目): its ASCII id in the rule set, left-aligned, zero padded.
type ItemId is bytes32;
/// A label range of recognition (互认范围): its ASCII code, left-aligned, zero padded.
type RangeId is bytes32;
/// A record of external quality assessment: keccak256(abi.encode(chain id, Recognition contract, its counter)).
type EqaId is bytes32;

using {sameMember as ==, otherMember as !=} for MemberId global;
using {sameDataset as ==, otherDataset as !=} for DatasetId global;
using {sameGrant as ==} for GrantId global;
using {sameEntry as ==} for EntryId global;

MemberId constant NO_MEMBER = MemberId.wrap(0);
DatasetId constant NO_DATASET = DatasetId.wrap(0);

function sameMember(MemberId a, MemberId b) pure returns (bool) {
    return MemberId.unwrap(a) == MemberId.unwrap(b);
}

function otherMember(MemberId a, MemberId b) pure returns (bool) {
    return MemberId.unwrap(a) != MemberId.unwrap(b);
}

function sameDataset(DatasetId a, DatasetId b) pure returns (bool) {
    return DatasetId.unwrap(a) == DatasetId.unwrap(b);
}

function otherDataset(DatasetId a, DatasetId b) pure returns (bool) {
    return DatasetId.unwrap(a) != DatasetId.unwrap(b);
}

function sameGrant(GrantId a, GrantId b) pure returns (bool) {
    return GrantId.unwrap(a) == GrantId.unwrap(b);
}

function sameEntry(EntryId a, EntryId b) pure returns (bool) {
    return EntryId.unwrap(a) == EntryId.unwrap(b);
}

// --- roles of members (bits) ------------------------------------------------------------------------------------------
// The data authority: approves grants of important and core data, may assign responsibilities.
uint32 constant ROLE_SUPERVISOR = 1;
// May read every log of the city (enforced by the nodes).
uint32 constant ROLE_AUDITOR = 2;
// External quality assessment body of medical laboratories.
uint32 constant ROLE_QUALITY = 4;
// A region's health commission: rules of recognition, levels of institutions, label ranges, agreements.
uint32 constant ROLE_HEALTH = 8;
// A medical institution that reports results and asks for those of others.
uint32 constant ROLE_HOSPITAL = 16;
uint32 constant ROLES_ALL = 31;

// --- status of members ------------------------------------------------------------------------------------------------
uint8 constant MEMBER_ACTIVE = 1;
uint8 constant MEMBER_SUSPENDED = 2;
uint8 constant MEMBER_REMOVED = 3;

// --- roles and status of keys -----------------------------------------------------------------------------------------
uint8 constant KEY_ACCOUNT = 1;
uint8 constant KEY_CONSENSUS = 2;
uint8 constant KEY_ISSUER = 9;
uint8 constant KEY_ACTIVE = 1;
uint8 constant KEY_RETIRED = 2;
uint8 constant KEY_COMPROMISED = 3;

// --- names of contracts -----------------------------------------------------------------------------------------------
bytes32 constant NAME_CONSORTIUM = "Consortium";
bytes32 constant NAME_DIRECTORY = "Directory";
bytes32 constant NAME_GRANTS = "Grants";
bytes32 constant NAME_ANCHORS = "Anchors";
bytes32 constant NAME_LICENCES = "Licences";
bytes32 constant NAME_RECOGNITION = "Recognition";

// --- sharing type and level of datasets -------------------------------------------------------------------------------
uint8 constant SHARING_UNCONDITIONAL = 1;
uint8 constant SHARING_CONDITIONAL = 2;
uint8 constant SHARING_NONE = 3;
uint8 constant LEVEL_GENERAL = 1;
uint8 constant LEVEL_IMPORTANT = 2;
uint8 constant LEVEL_CORE = 3;

// The largest page a paging view returns; a larger count is cut to it.
uint256 constant MAX_PAGE = 200;

/// The part [from, end) of a list of `length` items that a page of `count` items from `from` covers.
function pageEnd(uint256 from, uint256 count, uint256 length) pure returns (uint256 end) {
    if (from >= length) return from;
    if (count > MAX_PAGE) count = MAX_PAGE;
    end = count > length - from ? length : from + count;
}
