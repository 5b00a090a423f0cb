// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Consorted} from "./Consorted.sol";
import {Evaluations} from "./Evaluations.sol";
import {IRecognition} from "./IRecognition.sol";
import {ItemId, MemberId, NO_MEMBER, RangeId, ROLE_HEALTH, ROLE_HOSPITAL, pageEnd} from "./Types.sol";

/// @title Mutual recognition of medical results: rules, institutions and agreements of the regions
/// @notice What each function does is said in IRecognition.
contract Recognition is Evaluations {
    uint8 private constant MAX_LEVEL = 3;

    mapping(uint32 => RuleVersion[]) private _rules;
    uint32[] private _regions;
    mapping(MemberId => Institution) private _institutions;
    MemberId[] private _institutionIds;
    Agreement[] private _agreements;
    mapping(uint256 => ItemId[]) private _agreed;

    constructor(address consortium) Consorted(consortium) {}

    // --- rules --------------------------------------------------------------------------------------------------------

    /// @inheritdoc IRecognition
    function adoptRules(uint32 version, bytes32 digest, uint64 inForceFrom) external {
        (MemberId sender, uint32 region) = _commission();
        RuleVersion[] storage all = _rules[region];
        uint32 next = uint32(all.length) + 1;
        if (version != next) revert Recognition__WrongVersion(region, version, next);
        _require(digest, "digest");
        uint64 time = uint64(block.timestamp);
        if (inForceFrom == 0) inForceFrom = time;
        uint64 earliest = time;
        (uint32 last, RuleVersion memory before) = _before(all, type(uint64).max);
        if (last != 0) {
            if (before.digest == digest) revert Recognition__SameRules(region, last, digest);
            if (before.inForceFrom >= earliest) earliest = before.inForceFrom + 1;
        }
        uint64 latest = time + LONGEST_SPAN;
        if (inForceFrom < earliest || inForceFrom > latest) {
            revert Recognition__WrongTime(inForceFrom, earliest, latest);
        }
        if (version == 1) _regions.push(region);
        all.push(RuleVersion(inForceFrom, time, 0, digest, sender));
        emit RulesAdopted(region, version, sender, digest, inForceFrom);
    }

    /// @inheritdoc IRecognition
    function withdrawRules(uint32 version, bytes32 reasonDigest) external {
        (MemberId sender, uint32 region) = _commission();
        RuleVersion[] storage all = _rules[region];
        if (version == 0 || version > all.length) revert Recognition__UnknownRules(region, version);
        RuleVersion storage entry = all[version - 1];
        _require(reasonDigest, "reasonDigest");
        if (entry.withdrawnAt != 0 || entry.inForceFrom <= block.timestamp) {
            revert Recognition__RulesFixed(region, version, entry.inForceFrom, entry.withdrawnAt);
        }
        entry.withdrawnAt = uint64(block.timestamp);
        emit RulesWithdrawn(region, version, sender, reasonDigest);
    }

    /// @inheritdoc IRecognition
    function ruleCount(uint32 region) external view returns (uint256) {
        return _rules[region].length;
    }

    /// @inheritdoc IRecognition
    function rules(uint32 region, uint256 from, uint256 count) external view returns (RuleVersion[] memory page) {
        RuleVersion[] storage all = _rules[region];
        uint256 end = pageEnd(from, count, all.length);
        page = new RuleVersion[](end - from);
        for (uint256 i = from; i < end; ++i) {
            page[i - from] = all[i];
        }
    }

    /// @inheritdoc IRecognition
    function rulesAt(uint32 region, uint64 time) external view returns (uint32 version, bytes32 digest) {
        RuleVersion memory entry;
        (version, entry) = _before(_rules[region], time);
        return (version, entry.digest);
    }

    /// @inheritdoc IRecognition
    function ruleRegions(uint256 from, uint256 count) external view returns (uint32[] memory page) {
        uint256 end = pageEnd(from, count, _regions.length);
        page = new uint32[](end - from);
        for (uint256 i = from; i < end; ++i) {
            page[i - from] = _regions[i];
        }
    }

    /// The last version not withdrawn that is in force at a time or before; 0 where there is none.
    function _before(RuleVersion[] storage all, uint64 time)
        private
        view
        returns (uint32 version, RuleVersion memory entry)
    {
        for (uint256 i = all.length; i > 0; --i) {
            RuleVersion storage candidate = all[i - 1];
            if (candidate.withdrawnAt == 0 && candidate.inForceFrom <= time) return (uint32(i), candidate);
        }
    }

    // --- institutions -------------------------------------------------------------------------------------------------

    /// @inheritdoc IRecognition
    function setInstitution(MemberId member, uint8 level) external {
        (MemberId sender, uint32 region) = _commission();
        if (level > MAX_LEVEL) revert Recognition__WrongLevel(level, MAX_LEVEL);
        Institution storage entry = _institutions[member];
        if (entry.changedAt == 0) {
            if (level == 0) revert Recognition__UnknownInstitution(member);
            _institutionIds.push(member);
        } else if (entry.region == region) {
            if (entry.level == level) revert Recognition__Unchanged(MemberId.unwrap(member));
        } else if (CONSORTIUM.hasRole(entry.by, ROLE_HEALTH)) {
            revert Recognition__OtherRegion(MemberId.unwrap(member), entry.region, region);
        }
        if (level != 0 && !CONSORTIUM.hasRole(member, ROLE_HOSPITAL)) revert Recognition__NotHospital(member);
        _institutions[member] = Institution(region, level, uint64(block.timestamp), sender);
        emit InstitutionSet(member, region, sender, level);
    }

    /// @inheritdoc IRecognition
    function institution(MemberId member) external view returns (Institution memory entry) {
        entry = _institutions[member];
        if (entry.changedAt == 0) revert Recognition__UnknownInstitution(member);
    }

    /// @inheritdoc IRecognition
    function institutionCount() external view returns (uint256) {
        return _institutionIds.length;
    }

    /// @inheritdoc IRecognition
    function institutions(uint256 from, uint256 count)
        external
        view
        returns (MemberId[] memory ids, Institution[] memory entries)
    {
        uint256 end = pageEnd(from, count, _institutionIds.length);
        ids = new MemberId[](end - from);
        entries = new Institution[](end - from);
        for (uint256 i = from; i < end; ++i) {
            ids[i - from] = _institutionIds[i];
            entries[i - from] = _institutions[_institutionIds[i]];
        }
    }

    // --- agreements ---------------------------------------------------------------------------------------------------

    /// @inheritdoc IRecognition
    function proposeAgreement(RangeId range, uint32 other, ItemId[] calldata list) external returns (uint256 number) {
        (MemberId sender, uint32 region) = _commission();
        if (other < 100_000 || other > 999_999 || other == region) revert Recognition__WrongRegion(other);
        _inUse(range);
        _checkCount(list.length);
        number = _agreements.length + 1;
        for (uint256 i = 0; i < list.length; ++i) {
            if (!isItem(list[i])) revert Recognition__UnknownItem(list[i]);
            if (i != 0 && ItemId.unwrap(list[i]) <= ItemId.unwrap(list[i - 1])) revert Recognition__NotAscending(i);
            _agreed[number].push(list[i]);
        }
        uint64 time = uint64(block.timestamp);
        _agreements.push(
            Agreement(range, region, other, time, 0, 0, uint16(list.length), sender, NO_MEMBER, NO_MEMBER)
        );
        emit AgreementProposed(number, region, other, range, sender);
    }

    /// @inheritdoc IRecognition
    function acceptAgreement(uint256 number) external {
        (MemberId sender, uint32 region) = _commission();
        Agreement storage entry = _agreement(number);
        if (entry.other != region) revert Recognition__NotParty(number, sender);
        if (entry.acceptedAt != 0 || entry.endedAt != 0) {
            revert Recognition__AgreementClosed(number, entry.acceptedAt, entry.endedAt);
        }
        _inUse(entry.range);
        entry.acceptedAt = uint64(block.timestamp);
        entry.acceptedBy = sender;
        emit AgreementAccepted(number, sender);
    }

    /// @inheritdoc IRecognition
    function endAgreement(uint256 number, bytes32 reasonDigest) external {
        (MemberId sender, uint32 region) = _commission();
        Agreement storage entry = _agreement(number);
        if (entry.region != region && entry.other != region) revert Recognition__NotParty(number, sender);
        if (entry.endedAt != 0) revert Recognition__AgreementClosed(number, entry.acceptedAt, entry.endedAt);
        _require(reasonDigest, "reasonDigest");
        entry.endedAt = uint64(block.timestamp);
        entry.endedBy = sender;
        emit AgreementEnded(number, sender, reasonDigest);
    }

    /// @inheritdoc IRecognition
    function agreementCount() external view returns (uint256) {
        return _agreements.length;
    }

    /// @inheritdoc IRecognition
    function agreements(uint256 from, uint256 count) external view returns (Agreement[] memory page) {
        uint256 end = pageEnd(from, count, _agreements.length);
        page = new Agreement[](end - from);
        for (uint256 i = from; i < end; ++i) {
            page[i - from] = _agreements[i];
        }
    }

    /// @inheritdoc IRecognition
    function agreementItems(uint256 number, uint256 from, uint256 count) external view returns (ItemId[] memory page) {
        ItemId[] storage all = _agreed[number];
        uint256 end = pageEnd(from, count, all.length);
        page = new ItemId[](end - from);
        for (uint256 i = from; i < end; ++i) {
            page[i - from] = all[i];
        }
    }

    function _agreement(uint256 number) private view returns (Agreement storage) {
        if (number == 0 || number > _agreements.length) revert Recognition__UnknownAgreement(number);
        return _agreements[number - 1];
    }
}
