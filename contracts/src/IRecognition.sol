// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EqaId, ItemId, MemberId, RangeId} from "./Types.sol";

/// @title Mutual recognition of medical results: whose rules, which items, whose quality, which regions
/// @notice Codes, times, member ids and digests only: nothing of a patient, a report or a value. Nothing is deleted, and a
/// version of the rules that was in force never changes.
/// A health commission (role health) speaks for the region with which it is a member: it adopts that region's rules, enters
/// its institutions and their levels, opens label ranges, and makes agreements with other regions. Results of external
/// quality assessment (室间质评) come from the quality body that a range names, and from nobody else. All slots are
/// frozen (contracts/storageLayout.json).
interface IRecognition {
    /// One version of a region's rules; the first is version 1.
    /// @param inForceFrom Seconds
    /// @param adoptedAt Seconds
    /// @param withdrawnAt Seconds, 0 not: a withdrawn version was never in force
    /// @param digest Digest of the rule set
    /// @param by The commission that adopted it
    struct RuleVersion {
        uint64 inForceFrom;
        uint64 adoptedAt;
        uint64 withdrawnAt;
        bytes32 digest;
        MemberId by;
    }

    /// @param addedAt Seconds
    /// @param by The commission that made it known first
    struct Item {
        uint64 addedAt;
        MemberId by;
    }

    /// @param region GB/T 2260 code of the commission that entered it
    /// @param level 1 to 3 (一级 to 三级), 0 taken off
    /// @param changedAt Seconds
    struct Institution {
        uint32 region;
        uint8 level;
        uint64 changedAt;
        MemberId by;
    }

    /// A label range: validFrom <= time < validUntil.
    /// @param region GB/T 2260 code of the commission that opened it
    /// @param validFrom Seconds
    /// @param validUntil Seconds, 0 open
    /// @param openedAt Seconds
    /// @param label The label as it is printed, UTF-8, zero padded (全国HR)
    /// @param quality The quality body whose results give the label
    /// @param by The commission that opened it
    struct LabelRange {
        uint32 region;
        uint64 validFrom;
        uint64 validUntil;
        uint64 openedAt;
        bytes32 label;
        MemberId quality;
        MemberId by;
    }

    /// What a quality body says of an institution's item: what it hands in.
    /// @param range Label range that names the sender as its quality body
    /// @param item Known item
    /// @param institution Active member with the role hospital
    /// @param scheme The scheme's ASCII code, left-aligned, zero padded
    /// @param certificateDigest Digest of the certificate or of the list of results, not zero
    /// @param round Number of the round in the scheme, not 0
    /// @param passed Whether it passed
    /// @param validFrom Seconds, not 0; may lie in the past, because a round is over before its results are known
    /// @param validUntil Seconds, after validFrom, within 3,660 days from now
    struct EqaResult {
        RangeId range;
        ItemId item;
        MemberId institution;
        bytes32 scheme;
        bytes32 certificateDigest;
        uint32 round;
        bool passed;
        uint64 validFrom;
        uint64 validUntil;
    }

    /// A record of external quality assessment, valid validFrom <= time < validUntil, and < revokedSince where that is set.
    /// @param recordedAt Seconds
    /// @param revokedSince Seconds, 0 not revoked: from then on it counts no more
    /// @param revokedAt Seconds: when it was revoked (last)
    /// @param by The quality body that recorded it
    /// @param revokedBy Who revoked it (last), or zero
    struct Eqa {
        RangeId range;
        ItemId item;
        MemberId institution;
        bytes32 scheme;
        bytes32 certificateDigest;
        uint32 round;
        bool passed;
        uint64 validFrom;
        uint64 validUntil;
        uint64 recordedAt;
        uint64 revokedSince;
        uint64 revokedAt;
        MemberId by;
        MemberId revokedBy;
    }

    /// An agreement of two regions to count each other's label of a range, for a list of items.
    /// @param region The proposing commission's region
    /// @param other The region whose commission accepts
    /// @param acceptedAt Seconds, 0 not accepted; from then on it holds
    /// @param endedAt Seconds, 0 not ended
    /// @param items Number of its items
    struct Agreement {
        RangeId range;
        uint32 region;
        uint32 other;
        uint64 proposedAt;
        uint64 acceptedAt;
        uint64 endedAt;
        uint16 items;
        MemberId proposedBy;
        MemberId acceptedBy;
        MemberId endedBy;
    }

    event RulesAdopted(
        uint32 indexed region, uint32 indexed version, MemberId indexed by, bytes32 digest, uint64 inForceFrom
    );
    event RulesWithdrawn(uint32 indexed region, uint32 indexed version, MemberId indexed by, bytes32 reasonDigest);
    event ItemAdded(ItemId indexed item, MemberId indexed by);
    event InstitutionSet(MemberId indexed member, uint32 indexed region, MemberId indexed by, uint8 level);
    event RangeOpened(
        RangeId indexed range, MemberId indexed quality, MemberId indexed by, uint32 region, bytes32 label, uint64 validFrom
    );
    event RangeEnded(RangeId indexed range, MemberId indexed by, uint64 validUntil, bytes32 reasonDigest);
    event EqaRecorded(
        EqaId indexed id,
        MemberId indexed institution,
        ItemId indexed item,
        RangeId range,
        MemberId by,
        bytes32 scheme,
        uint32 round,
        bool passed
    );
    event EqaRevoked(EqaId indexed id, MemberId indexed institution, MemberId indexed by, uint64 since, bytes32 reasonDigest);
    event AgreementProposed(uint256 indexed number, uint32 indexed region, uint32 indexed other, RangeId range, MemberId by);
    event AgreementAccepted(uint256 indexed number, MemberId indexed by);
    event AgreementEnded(uint256 indexed number, MemberId indexed by, bytes32 reasonDigest);

    /// The sender lacks the role health.
    error Recognition__NotCommission(MemberId sender);
    error Recognition__Missing(bytes32 field);
    /// Not 1 to 32 visible ASCII characters, left-aligned, zero padded.
    error Recognition__MalformedCode(bytes32 code);
    error Recognition__WrongVersion(uint32 region, uint32 version, uint32 next);
    error Recognition__SameRules(uint32 region, uint32 version, bytes32 digest);
    error Recognition__UnknownRules(uint32 region, uint32 version);
    /// The version is in force or was withdrawn: it never changes.
    error Recognition__RulesFixed(uint32 region, uint32 version, uint64 inForceFrom, uint64 withdrawnAt);
    error Recognition__WrongTime(uint64 time, uint64 earliest, uint64 latest);
    error Recognition__WrongCount(uint256 count, uint256 most);
    error Recognition__ItemKnown(ItemId item);
    error Recognition__UnknownItem(ItemId item);
    error Recognition__WrongLevel(uint8 level, uint8 most);
    error Recognition__Unchanged(bytes32 id);
    error Recognition__UnknownInstitution(MemberId member);
    /// Another region's commission answers for it, and is active.
    error Recognition__OtherRegion(bytes32 id, uint32 region, uint32 own);
    /// No active member with the role hospital.
    error Recognition__NotHospital(MemberId member);
    error Recognition__RangeExists(RangeId range);
    error Recognition__UnknownRange(RangeId range);
    error Recognition__RangeEnded(RangeId range, uint64 validUntil);
    /// No active member with the role quality, or not the one the range names.
    error Recognition__NotQualityBody(RangeId range, MemberId member);
    /// The end would not move earlier, or into the past.
    error Recognition__WrongEnd(uint64 validUntil, uint64 earliest, uint64 current);
    error Recognition__SpanTooLong(uint64 validFrom, uint64 validUntil, uint64 latest);
    /// The round is recorded already, and not revoked.
    error Recognition__EqaKnown(EqaId id);
    error Recognition__UnknownEqa(EqaId id);
    error Recognition__WrongRevocation(uint64 since, uint64 earliest, uint64 latest, uint64 current);
    error Recognition__WrongRegion(uint32 region);
    /// Items of an agreement ascend, each once.
    error Recognition__NotAscending(uint256 place);
    error Recognition__UnknownAgreement(uint256 number);
    /// Neither of the two regions, or not the one that is to accept.
    error Recognition__NotParty(uint256 number, MemberId sender);
    error Recognition__AgreementClosed(uint256 number, uint64 acceptedAt, uint64 endedAt);

    // --- rules and items ----------------------------------------------------------------------------------------------

    /// @notice Adopt the next version of the rules of the sender's region. Once in force it never changes.
    /// @param version Versions of a region count from 1, without gaps
    /// @param digest Digest of the rule set, not zero, other than that of the version before
    /// @param inForceFrom Seconds, not in the past and after that of the version before; 0 is now
    function adoptRules(uint32 version, bytes32 digest, uint64 inForceFrom) external;

    /// @notice Take back a version of the sender's region that is not in force yet. Its number is not given again.
    function withdrawRules(uint32 version, bytes32 reasonDigest) external;

    function ruleCount(uint32 region) external view returns (uint256);

    /// @notice Versions [from, from + count) of a region's rules, at most 200; version 1 stands at 0.
    function rules(uint32 region, uint256 from, uint256 count) external view returns (RuleVersion[] memory);

    /// @notice The version in force in a region at a time; 0 and zero where there is none. For a time not after now the answer
    /// never changes.
    function rulesAt(uint32 region, uint64 time) external view returns (uint32 version, bytes32 digest);

    /// @notice Regions that ever adopted rules, in order of the first time: [from, from + count), at most 200.
    function ruleRegions(uint256 from, uint256 count) external view returns (uint32[] memory);

    /// @notice Make items known by their ids in the rule sets, so that quality bodies and agreements may name them.
    /// @param items 1 to 200 codes, none known yet
    function addItems(ItemId[] calldata items) external;

    function isItem(ItemId item) external view returns (bool);

    function itemCount() external view returns (uint256);

    /// @notice Items [from, from + count) in order of adding, at most 200.
    function items(uint256 from, uint256 count) external view returns (ItemId[] memory ids, Item[] memory entries);

    // --- institutions -------------------------------------------------------------------------------------------------

    /// @notice Enter an institution of the sender's region with its level, change its level, or take it off. One that another
    /// region's commission answers for moves only when that commission is active with its role no more.
    /// @param member Active member with the role hospital; any member may be taken off
    /// @param level 1 to 3, 0 takes it off
    function setInstitution(MemberId member, uint8 level) external;

    /// @notice An institution's entry. Reverts for one never entered.
    function institution(MemberId member) external view returns (Institution memory);

    function institutionCount() external view returns (uint256);

    /// @notice Institutions [from, from + count) in order of entry, at most 200.
    function institutions(uint256 from, uint256 count)
        external
        view
        returns (MemberId[] memory ids, Institution[] memory entries);

    // --- label ranges and quality assessment --------------------------------------------------------------------------

    /// @notice Open a label range, and name the body whose results give the label. Its code never comes back.
    /// @param range Code: 1 to 32 visible ASCII characters
    /// @param label The label as it is printed, UTF-8, not zero
    /// @param quality Active member with the role quality
    /// @param validFrom Seconds, within 3,660 days before or after now; 0 is now
    function openRange(RangeId range, bytes32 label, MemberId quality, uint64 validFrom) external;

    /// @notice End or shorten a range, by a commission of its region. An end moves earlier only, and not into the past.
    /// @param validUntil Seconds; 0 is now. A range that has not begun ends where it begins: it is empty for ever.
    function endRange(RangeId range, uint64 validUntil, bytes32 reasonDigest) external;

    /// @notice A range's entry, ended or not. Reverts for a code never opened.
    function labelRange(RangeId range) external view returns (LabelRange memory);

    function rangeCount() external view returns (uint256);

    /// @notice Ranges [from, from + count) in order of opening, at most 200.
    function ranges(uint256 from, uint256 count)
        external
        view
        returns (RangeId[] memory ids, LabelRange[] memory entries);

    /// @notice Record results of external quality assessment, passed or not, by the quality body that their ranges name.
    /// @param results 1 to 200
    function recordEqas(EqaResult[] calldata results) external;

    /// @notice Revoke a record since a time: by the quality body that recorded it, or by a commission of the range's region
    /// while that body is active with its role no more. A revocation moves earlier only; the record stays.
    /// @param since Seconds, not before the record's begin and not after now; 0 is now
    function revokeEqa(EqaId id, uint64 since, bytes32 reasonDigest) external;

    /// @notice A record, revoked or not. Reverts for an unknown one.
    function eqa(EqaId id) external view returns (Eqa memory);

    function eqaCount() external view returns (uint256);

    /// @notice Records [from, from + count) in order of recording, at most 200.
    function eqas(uint256 from, uint256 count) external view returns (EqaId[] memory ids, Eqa[] memory entries);

    function eqaCountOf(MemberId member) external view returns (uint256);

    /// @notice Records [from, from + count) of an institution in order of recording, at most 200.
    function eqasOf(MemberId member, uint256 from, uint256 count)
        external
        view
        returns (EqaId[] memory ids, Eqa[] memory entries);

    // --- agreements of regions ----------------------------------------------------------------------------------------

    /// @notice Propose to another region that each counts the other's label of a range, for these items.
    /// @param range Range in use
    /// @param other GB/T 2260 code of another region
    /// @param list 1 to 200 known items, ascending
    /// @return number Agreements count from 1
    function proposeAgreement(RangeId range, uint32 other, ItemId[] calldata list) external returns (uint256 number);

    /// @notice Accept a proposal, by a commission of the other region. From now on the agreement holds.
    function acceptAgreement(uint256 number) external;

    /// @notice End an agreement, refuse a proposal or take it back, by a commission of either region.
    function endAgreement(uint256 number, bytes32 reasonDigest) external;

    function agreementCount() external view returns (uint256);

    /// @notice Agreements [from, from + count), at most 200; number 1 stands at 0.
    function agreements(uint256 from, uint256 count) external view returns (Agreement[] memory);

    /// @notice Items [from, from + count) of an agreement, at most 200.
    function agreementItems(uint256 number, uint256 from, uint256 count) external view returns (ItemId[] memory);
}
