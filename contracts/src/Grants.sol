// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Consorted} from "./Consorted.sol";
import {IDirectory} from "./IDirectory.sol";
import {IGrants} from "./IGrants.sol";
import {Settlements} from "./Settlements.sol";
import {
    DatasetId,
    GrantId,
    LEVEL_CORE,
    LEVEL_GENERAL,
    MemberId,
    NAME_DIRECTORY,
    NO_MEMBER,
    ROLE_SUPERVISOR,
    SHARING_NONE,
    SHARING_UNCONDITIONAL,
    pageEnd
} from "./Types.sol";

/// @title Permissions to use a dataset
/// @notice What each function does is said in IGrants.
contract Grants is Settlements {
    uint8 private constant REQUESTED = 1;
    uint8 private constant GRANTED = 2;
    uint8 private constant REFUSED = 3;
    uint8 private constant REVOKED = 4;
    uint8 private constant BY_PROVIDER = 1;
    uint8 private constant BY_SUPERVISOR = 2;
    uint8 private constant BY_CONSORTIUM = 4;
    uint64 private constant SHORTEST_DEADLINE = 1 days;
    uint64 private constant LONGEST_DEADLINE = 90 days;
    uint64 private constant LONGEST_VALIDITY = 3650 days;

    GrantId[] private _grantIds;
    mapping(MemberId => uint256) private _grantsOf;

    constructor(address consortium) Consorted(consortium) {}

    /// @inheritdoc IGrants
    function request(
        DatasetId dataset,
        bytes32 purpose,
        bytes32 matter,
        bytes32 scopeDigest,
        bytes32 odrlDigest,
        uint64 ceiling,
        uint64 validUntil,
        uint64 deadline
    ) external returns (GrantId id) {
        MemberId consumer = _actor();
        IDirectory.Dataset memory target = _directory().dataset(dataset);
        _checkUsable(dataset, target);
        if (target.provider == consumer) revert Grants__OwnDataset(dataset);
        _checkTimes(validUntil, deadline);

        id = GrantId.wrap(keccak256(abi.encode(block.chainid, address(this), consumer, _grantsOf[consumer]++)));
        Grant storage item = _grants[id];
        item.dataset = dataset;
        item.provider = target.provider;
        item.consumer = consumer;
        item.purpose = _required(purpose, "purpose");
        item.matter = _required(matter, "matter");
        item.scopeDigest = _required(scopeDigest, "scopeDigest");
        item.odrlDigest = _required(odrlDigest, "odrlDigest");
        item.ceiling = uint64(uint256(_required(bytes32(uint256(ceiling)), "ceiling")));
        item.validUntil = validUntil;
        item.deadline = deadline;
        item.requestedAt = uint64(block.timestamp);
        item.status = REQUESTED;
        _grantIds.push(id);
        _announce(id, item);
        if (_needed(target) == 0) _activate(id, item);
    }

    /// @inheritdoc IGrants
    function approve(GrantId id) external {
        MemberId sender = _actor();
        Grant storage item = _open(id);
        IDirectory.Dataset memory target = _usable(item.dataset);
        uint8 needed = _needed(target);
        uint8 had = item.approvals;
        uint8 held = had;
        if (sender == item.provider) held |= BY_PROVIDER;
        bool supervises = sender != item.consumer && CONSORTIUM.hasRole(sender, ROLE_SUPERVISOR);
        if (supervises && needed & BY_SUPERVISOR != 0) {
            if (held & BY_PROVIDER == 0) revert Grants__ApprovalMissing(id, BY_PROVIDER);
            held |= BY_SUPERVISOR;
        } else if (supervises && sender != item.provider) {
            revert Grants__ApprovalNotNeeded(id, BY_SUPERVISOR, needed);
        } else if (sender != item.provider) {
            revert Grants__NotAllowed(id, sender);
        }
        // After a regrade downwards a request may have all approvals already: the provider's word then activates it.
        bool completes = item.status == REQUESTED && needed & ~held == 0;
        if ((held == had && !completes) || (item.status == GRANTED && needed & ~had == 0)) {
            revert Grants__AlreadyApproved(id, had);
        }
        _approved(id, item, sender, held, needed);
    }

    /// @inheritdoc IGrants
    function approveByVote(GrantId id, MemberId consumer) external {
        if (msg.sender != address(CONSORTIUM)) revert Grants__NotConsortium(msg.sender);
        Grant storage item = _open(id);
        if (item.consumer != consumer) revert Grants__WrongConsumer(id, item.consumer, consumer);
        uint8 needed = _needed(_usable(item.dataset));
        if (needed & BY_CONSORTIUM == 0) revert Grants__ApprovalNotNeeded(id, BY_CONSORTIUM, needed);
        uint8 had = item.approvals;
        uint8 before = (BY_PROVIDER | BY_SUPERVISOR) & ~had;
        if (before != 0) revert Grants__ApprovalMissing(id, before);
        if (had & BY_CONSORTIUM != 0) revert Grants__AlreadyApproved(id, had);
        _approved(id, item, NO_MEMBER, had | BY_CONSORTIUM, needed);
    }

    /// @inheritdoc IGrants
    function refuse(GrantId id, uint16 reason, bytes32 textDigest) external {
        MemberId sender = _actor();
        Grant storage item = _existing(id);
        if (item.status != REQUESTED) revert Grants__Closed(id, item.status);
        bool allowed = sender == item.provider;
        if (!allowed && sender != item.consumer && CONSORTIUM.hasRole(sender, ROLE_SUPERVISOR)) {
            allowed = _needed(_directory().dataset(item.dataset)) & BY_SUPERVISOR != 0;
        }
        if (!allowed) revert Grants__NotAllowed(id, sender);
        _close(item, REFUSED, reason, textDigest);
        emit GrantRefused(id, sender, reason, textDigest, block.timestamp > item.deadline);
    }

    /// @inheritdoc IGrants
    function revoke(GrantId id, uint16 reason, bytes32 textDigest) external {
        MemberId sender = _actor();
        Grant storage item = _existing(id);
        if (item.status != REQUESTED && item.status != GRANTED) revert Grants__Closed(id, item.status);
        bool allowed = sender == item.consumer;
        if (!allowed && item.status == GRANTED) {
            allowed = sender == item.provider || CONSORTIUM.hasRole(sender, ROLE_SUPERVISOR);
        }
        if (!allowed) revert Grants__NotAllowed(id, sender);
        _close(item, REVOKED, reason, textDigest);
        emit GrantRevoked(id, sender, reason, textDigest);
    }

    /// @inheritdoc IGrants
    function isActive(GrantId id, DatasetId dataset, MemberId consumer, bytes32 purpose, uint64 time)
        external
        view
        returns (bool, uint8)
    {
        uint8 why = _why(_grants[id], dataset, consumer, purpose, time);
        return (why == 0, why);
    }

    /// @inheritdoc IGrants
    function missingApprovals(GrantId id) external view returns (uint8) {
        Grant storage item = _existing(id);
        return _needed(_directory().dataset(item.dataset)) & ~item.approvals;
    }

    /// @inheritdoc IGrants
    function isOverdue(GrantId id, uint64 time) external view returns (bool) {
        Grant storage item = _existing(id);
        return item.status == REQUESTED && time > item.deadline;
    }

    /// @inheritdoc IGrants
    function grant(GrantId id) external view returns (Grant memory) {
        return _existing(id);
    }

    /// @inheritdoc IGrants
    function grantCount() external view returns (uint256) {
        return _grantIds.length;
    }

    /// @inheritdoc IGrants
    function grants(uint256 from, uint256 count) external view returns (GrantId[] memory ids, Grant[] memory items) {
        uint256 end = pageEnd(from, count, _grantIds.length);
        ids = new GrantId[](end - from);
        items = new Grant[](end - from);
        for (uint256 i = from; i < end; ++i) {
            ids[i - from] = _grantIds[i];
            items[i - from] = _grants[_grantIds[i]];
        }
    }

    function _why(Grant storage item, DatasetId dataset, MemberId consumer, bytes32 purpose, uint64 time)
        private
        view
        returns (uint8)
    {
        uint8 status = item.status;
        if (status == 0) return 1;
        if (item.dataset != dataset) return 2;
        if (item.consumer != consumer) return 3;
        if (item.purpose != purpose) return 4;
        if (status == REQUESTED) return 5;
        if (status == REFUSED) return 6;
        if (status == REVOKED) return 7;
        if (time >= item.validUntil) return 8;
        if (time < item.activeFrom) return 13;
        if (!CONSORTIUM.isActive(consumer)) return 12;
        if (!CONSORTIUM.isActive(item.provider)) return 14;
        if (item.settled >= item.ceiling) return 15;
        IDirectory.Dataset memory target = _directory().dataset(dataset);
        if (target.withdrawn) return 10;
        if (target.sharing == SHARING_NONE) return 11;
        return _needed(target) & ~item.approvals == 0 ? 0 : 9;
    }

    /// The approvals a dataset needs as it is now.
    function _needed(IDirectory.Dataset memory target) private pure returns (uint8) {
        if (target.level == LEVEL_CORE) return BY_PROVIDER | BY_SUPERVISOR | BY_CONSORTIUM;
        if (target.level != LEVEL_GENERAL) return BY_PROVIDER | BY_SUPERVISOR;
        return target.sharing == SHARING_UNCONDITIONAL ? 0 : BY_PROVIDER;
    }

    function _approved(GrantId id, Grant storage item, MemberId by, uint8 approvals, uint8 needed) private {
        item.approvals = approvals;
        bool late = item.activeFrom == 0 && block.timestamp > item.deadline;
        emit GrantApproved(id, by, approvals, late);
        if (needed & ~approvals == 0) _activate(id, item);
    }

    function _activate(GrantId id, Grant storage item) private {
        item.status = GRANTED;
        // A grant that was suspended by a regrade keeps the time of its first activation.
        if (item.activeFrom == 0) item.activeFrom = uint64(block.timestamp);
        emit GrantActivated(id, item.dataset, item.consumer);
    }

    function _close(Grant storage item, uint8 status, uint16 reason, bytes32 textDigest) private {
        item.reason = uint16(uint256(_required(bytes32(uint256(reason)), "reason")));
        item.textDigest = _required(textDigest, "textDigest");
        item.status = status;
        item.closedAt = uint64(block.timestamp);
    }

    function _announce(GrantId id, Grant storage item) private {
        emit GrantRequested(
            id,
            item.dataset,
            item.consumer,
            item.provider,
            item.purpose,
            item.matter,
            item.scopeDigest,
            item.odrlDigest,
            item.ceiling,
            item.validUntil,
            item.deadline
        );
    }

    /// A grant that can still get approvals: requested, or granted and perhaps suspended by a regrade; not expired.
    function _open(GrantId id) private view returns (Grant storage item) {
        item = _existing(id);
        if (item.status != REQUESTED && item.status != GRANTED) revert Grants__Closed(id, item.status);
        if (block.timestamp >= item.validUntil) revert Grants__Expired(id, item.validUntil);
    }

    function _usable(DatasetId dataset) private view returns (IDirectory.Dataset memory target) {
        target = _directory().dataset(dataset);
        _checkUsable(dataset, target);
    }

    function _checkUsable(DatasetId dataset, IDirectory.Dataset memory target) private pure {
        if (target.withdrawn) revert Grants__DatasetWithdrawn(dataset);
        if (target.sharing == SHARING_NONE) revert Grants__DatasetNotShared(dataset);
    }

    function _checkTimes(uint64 validUntil, uint64 deadline) private view {
        uint64 time = uint64(block.timestamp);
        if (deadline < time + SHORTEST_DEADLINE || deadline > time + LONGEST_DEADLINE) {
            revert Grants__WrongDeadline(deadline, time + SHORTEST_DEADLINE, time + LONGEST_DEADLINE);
        }
        if (validUntil <= time || validUntil > time + LONGEST_VALIDITY) {
            revert Grants__WrongValidity(validUntil, time + 1, time + LONGEST_VALIDITY);
        }
    }

    function _required(bytes32 value, bytes32 field) private pure returns (bytes32) {
        if (value == 0) revert Grants__Missing(field);
        return value;
    }

    function _directory() private view returns (IDirectory) {
        return IDirectory(CONSORTIUM.contractOf(NAME_DIRECTORY));
    }
}
