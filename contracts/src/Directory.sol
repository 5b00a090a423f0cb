// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Consorted} from "./Consorted.sol";
import {Datasets} from "./Datasets.sol";
import {IDirectory} from "./IDirectory.sol";
import {
    DatasetId, EntryId, MemberId, NO_DATASET, NO_MEMBER, ROLE_SUPERVISOR, SHARING_NONE, pageEnd
} from "./Types.sol";

/// @title The catalogue and the three lists
/// @notice What each function does is said in IDirectory.
contract Directory is Datasets {
    uint8 private constant OPEN = 1;
    uint8 private constant FULFILLED = 2;
    uint8 private constant RESPONSIBILITY_WITHDRAWN = 3;
    uint8 private constant MATCHED_DATASET = 2;
    uint8 private constant MATCHED_RESPONSIBILITY = 3;
    uint8 private constant ANSWERED_NEGATIVE = 4;
    uint8 private constant DEMAND_WITHDRAWN = 5;
    uint8 private constant NEGATIVE_WITHDRAWN = 2;
    uint64 private constant LONGEST_DUE = 3650 days;

    mapping(EntryId => Responsibility) private _responsibilities;
    mapping(EntryId => Demand) private _demands;
    mapping(EntryId => Negative) private _negatives;
    EntryId[] private _responsibilityIds;
    EntryId[] private _demandIds;
    EntryId[] private _negativeIds;
    mapping(MemberId => uint256) private _entriesOf;

    constructor(address consortium) Consorted(consortium) {}

    /// @inheritdoc IDirectory
    function addResponsibility(MemberId provider, bytes32 itemDigest, bytes32 basisDigest, uint64 dueBy)
        external
        returns (EntryId id)
    {
        MemberId author = _actor();
        id = _newId(author);
        if (provider != author) {
            if (!_isSupervisor(author)) revert Directory__NotAllowed(id, author);
            if (!CONSORTIUM.isActive(provider)) revert Directory__UnknownMember(provider);
        }
        _require(itemDigest, "itemDigest");
        _require(basisDigest, "basisDigest");
        _checkTime(dueBy, 1, LONGEST_DUE);
        Responsibility storage entry = _responsibilities[id];
        entry.provider = provider;
        entry.author = author;
        entry.itemDigest = itemDigest;
        entry.basisDigest = basisDigest;
        entry.addedAt = uint64(block.timestamp);
        entry.dueBy = dueBy;
        entry.status = OPEN;
        _responsibilityIds.push(id);
        emit ResponsibilityAdded(id, provider, author, itemDigest, dueBy);
    }

    /// @inheritdoc IDirectory
    function fulfilResponsibility(EntryId id, DatasetId datasetId) external {
        MemberId sender = _actor();
        Responsibility storage entry = _openResponsibility(id);
        if (entry.provider != sender) revert Directory__NotAllowed(id, sender);
        if (_shared(datasetId) != sender) revert Directory__NotProvider(datasetId, dataset(datasetId).provider, sender);
        entry.status = FULFILLED;
        entry.dataset = datasetId;
        entry.closedAt = uint64(block.timestamp);
        emit ResponsibilityFulfilled(id, datasetId, block.timestamp > entry.dueBy);
    }

    /// @inheritdoc IDirectory
    function withdrawResponsibility(EntryId id, bytes32 reasonDigest) external {
        MemberId sender = _actor();
        Responsibility storage entry = _openResponsibility(id);
        // A provider cannot take back what the supervisor assigned to it.
        if (entry.author != sender && !_isSupervisor(sender)) revert Directory__NotAllowed(id, sender);
        _require(reasonDigest, "reasonDigest");
        entry.status = RESPONSIBILITY_WITHDRAWN;
        entry.reasonDigest = reasonDigest;
        entry.closedAt = uint64(block.timestamp);
        emit ResponsibilityWithdrawn(id, sender, reasonDigest);
    }

    /// @inheritdoc IDirectory
    function addDemand(MemberId provider, bytes32 itemDigest, bytes32 matter, uint64 deadline)
        external
        returns (EntryId id)
    {
        MemberId consumer = _actor();
        if (provider != NO_MEMBER && !CONSORTIUM.isActive(provider)) revert Directory__UnknownMember(provider);
        _require(itemDigest, "itemDigest");
        _require(matter, "matter");
        _checkTime(deadline, 1 days, 90 days);
        id = _newId(consumer);
        Demand storage entry = _demands[id];
        entry.consumer = consumer;
        entry.provider = provider;
        entry.itemDigest = itemDigest;
        entry.matter = matter;
        entry.addedAt = uint64(block.timestamp);
        entry.deadline = deadline;
        entry.status = OPEN;
        _demandIds.push(id);
        emit DemandAdded(id, consumer, provider, itemDigest, matter, deadline);
    }

    /// @inheritdoc IDirectory
    function matchDemandToDataset(EntryId id, DatasetId datasetId) external {
        _answer(id, _shared(datasetId), true, MATCHED_DATASET, DatasetId.unwrap(datasetId));
    }

    /// @inheritdoc IDirectory
    function matchDemandToResponsibility(EntryId id, EntryId responsibilityId) external {
        MemberId provider = _openResponsibility(responsibilityId).provider;
        _answer(id, provider, true, MATCHED_RESPONSIBILITY, EntryId.unwrap(responsibilityId));
    }

    /// @inheritdoc IDirectory
    function answerDemandFromNegative(EntryId id, EntryId negativeId) external {
        MemberId provider = _openNegative(negativeId).provider;
        _answer(id, provider, false, ANSWERED_NEGATIVE, EntryId.unwrap(negativeId));
    }

    /// @inheritdoc IDirectory
    function withdrawDemand(EntryId id) external {
        MemberId sender = _actor();
        Demand storage entry = _openDemand(id);
        if (entry.consumer != sender) revert Directory__NotAllowed(id, sender);
        entry.status = DEMAND_WITHDRAWN;
        entry.closedAt = uint64(block.timestamp);
        emit DemandWithdrawn(id);
    }

    /// @inheritdoc IDirectory
    function addNegative(bytes32 itemDigest, bytes32 legalBasisDigest) external returns (EntryId id) {
        MemberId provider = _actor();
        _require(itemDigest, "itemDigest");
        if (legalBasisDigest == 0) revert Directory__NoLegalBasis();
        id = _newId(provider);
        Negative storage entry = _negatives[id];
        entry.provider = provider;
        entry.itemDigest = itemDigest;
        entry.legalBasisDigest = legalBasisDigest;
        entry.addedAt = uint64(block.timestamp);
        entry.status = OPEN;
        _negativeIds.push(id);
        emit NegativeAdded(id, provider, itemDigest, legalBasisDigest);
    }

    /// @inheritdoc IDirectory
    function withdrawNegative(EntryId id, bytes32 reasonDigest) external {
        MemberId sender = _actor();
        Negative storage entry = _openNegative(id);
        if (entry.provider != sender) revert Directory__NotAllowed(id, sender);
        _require(reasonDigest, "reasonDigest");
        entry.status = NEGATIVE_WITHDRAWN;
        entry.reasonDigest = reasonDigest;
        entry.closedAt = uint64(block.timestamp);
        emit NegativeWithdrawn(id, reasonDigest);
    }

    /// @inheritdoc IDirectory
    function responsibility(EntryId id) external view returns (Responsibility memory entry) {
        entry = _responsibilities[id];
        if (entry.status == 0) revert Directory__UnknownEntry(id);
    }

    /// @inheritdoc IDirectory
    function responsibilities(uint256 from, uint256 count)
        external
        view
        returns (EntryId[] memory ids, Responsibility[] memory items)
    {
        ids = _page(_responsibilityIds, from, count);
        items = new Responsibility[](ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            items[i] = _responsibilities[ids[i]];
        }
    }

    /// @inheritdoc IDirectory
    function demand(EntryId id) external view returns (Demand memory entry) {
        entry = _demands[id];
        if (entry.status == 0) revert Directory__UnknownEntry(id);
    }

    /// @inheritdoc IDirectory
    function demands(uint256 from, uint256 count) external view returns (EntryId[] memory ids, Demand[] memory items) {
        ids = _page(_demandIds, from, count);
        items = new Demand[](ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            items[i] = _demands[ids[i]];
        }
    }

    /// @inheritdoc IDirectory
    function negative(EntryId id) external view returns (Negative memory entry) {
        entry = _negatives[id];
        if (entry.status == 0) revert Directory__UnknownEntry(id);
    }

    /// @inheritdoc IDirectory
    function negatives(uint256 from, uint256 count) external view returns (EntryId[] memory ids, Negative[] memory items) {
        ids = _page(_negativeIds, from, count);
        items = new Negative[](ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            items[i] = _negatives[ids[i]];
        }
    }

    /// @inheritdoc IDirectory
    function listCounts() external view returns (uint256, uint256, uint256) {
        return (_responsibilityIds.length, _demandIds.length, _negativeIds.length);
    }

    /// Close an open demand with an answer by the provider of that answer, a supervisor or (`mayConsumer`) its consumer.
    function _answer(EntryId id, MemberId provider, bool mayConsumer, uint8 status, bytes32 answer) private {
        MemberId sender = _actor();
        Demand storage entry = _openDemand(id);
        bool allowed = sender == provider || (mayConsumer && sender == entry.consumer) || _isSupervisor(sender);
        if (!allowed) revert Directory__NotAllowed(id, sender);
        entry.status = status;
        entry.answer = answer;
        entry.answeredBy = sender;
        entry.closedAt = uint64(block.timestamp);
        emit DemandAnswered(id, sender, status, answer, block.timestamp > entry.deadline);
    }

    /// The provider of a dataset that is shared and not withdrawn.
    function _shared(DatasetId id) private view returns (MemberId) {
        Dataset memory item = dataset(id);
        if (item.withdrawn) revert Directory__Withdrawn(id);
        if (item.sharing == SHARING_NONE) revert Directory__UnknownSharing(item.sharing);
        return item.provider;
    }

    function _openResponsibility(EntryId id) private view returns (Responsibility storage entry) {
        entry = _responsibilities[id];
        _checkOpen(id, entry.status);
    }

    function _openDemand(EntryId id) private view returns (Demand storage entry) {
        entry = _demands[id];
        _checkOpen(id, entry.status);
    }

    function _openNegative(EntryId id) private view returns (Negative storage entry) {
        entry = _negatives[id];
        _checkOpen(id, entry.status);
    }

    function _checkOpen(EntryId id, uint8 status) private pure {
        if (status == 0) revert Directory__UnknownEntry(id);
        if (status != OPEN) revert Directory__EntryClosed(id, status);
    }

    function _checkTime(uint64 time, uint64 shortest, uint64 longest) private view {
        uint64 earliest = uint64(block.timestamp) + shortest;
        uint64 latest = uint64(block.timestamp) + longest;
        if (time < earliest || time > latest) revert Directory__WrongDeadline(time, earliest, latest);
    }

    function _isSupervisor(MemberId id) private view returns (bool) {
        return CONSORTIUM.hasRole(id, ROLE_SUPERVISOR);
    }

    function _newId(MemberId author) private returns (EntryId) {
        return EntryId.wrap(keccak256(abi.encode(block.chainid, address(this), author, _entriesOf[author]++)));
    }

    function _page(EntryId[] storage all, uint256 from, uint256 count) private view returns (EntryId[] memory ids) {
        uint256 end = pageEnd(from, count, all.length);
        ids = new EntryId[](end - from);
        for (uint256 i = from; i < end; ++i) {
            ids[i - from] = all[i];
        }
    }
}
