// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DatasetId, EntryId, MemberId} from "./Types.sol";

/// @title The catalogue and the three lists
/// @notice Datasets with their versions, and the responsibility, demand and negative lists. Digests, codes, ids and times
/// only. Nothing is deleted, only withdrawn; only the provider changes its dataset.
interface IDirectory {
    /// @param sharing 1 unconditional, 2 conditional, 3 not shared
    /// @param level 1 general, 2 important, 3 core
    /// @param versions Number of versions, the newest has this number
    /// @param legalBasisDigest Digest of the legal basis; required where not shared
    struct Dataset {
        MemberId provider;
        uint8 sharing;
        uint8 level;
        bool withdrawn;
        uint32 versions;
        uint64 publishedAt;
        uint64 changedAt;
        bytes32 metadataDigest;
        bytes32 legalBasisDigest;
    }

    struct DatasetVersion {
        bytes32 contentDigest;
        uint64 count; // records
        uint64 time; // seconds
    }

    /// A provider must supply an item by a date.
    /// @param status 1 open, 2 fulfilled, 3 withdrawn
    struct Responsibility {
        MemberId provider;
        MemberId author;
        bytes32 itemDigest;
        bytes32 basisDigest;
        uint64 addedAt;
        uint64 dueBy;
        uint64 closedAt;
        uint8 status;
        DatasetId dataset; // what fulfilled it
        bytes32 reasonDigest; // why withdrawn
    }

    /// A consumer needs an item for a matter.
    /// @param provider Whom it is addressed to, or zero
    /// @param status 1 open, 2 matched to a dataset, 3 matched to a responsibility, 4 answered from the negative list,
    /// 5 withdrawn
    /// @param answer Dataset, responsibility or negative entry, by status
    struct Demand {
        MemberId consumer;
        MemberId provider;
        bytes32 itemDigest;
        bytes32 matter;
        uint64 addedAt;
        uint64 deadline;
        uint64 closedAt;
        uint8 status;
        bytes32 answer;
        MemberId answeredBy;
    }

    /// An item a provider does not share, with the legal basis.
    /// @param status 1 in force, 2 withdrawn
    struct Negative {
        MemberId provider;
        bytes32 itemDigest;
        bytes32 legalBasisDigest;
        uint64 addedAt;
        uint64 closedAt;
        uint8 status;
        bytes32 reasonDigest;
    }

    event DatasetPublished(
        DatasetId indexed id,
        MemberId indexed provider,
        uint8 sharing,
        uint8 level,
        bytes32 metadataDigest,
        bytes32 legalBasisDigest,
        string resourceCode
    );
    event MetadataChanged(DatasetId indexed id, bytes32 metadataDigest);
    event SharingChanged(DatasetId indexed id, uint8 previous, uint8 sharing, bytes32 legalBasisDigest);
    event VersionAdded(DatasetId indexed id, uint32 indexed number, bytes32 contentDigest, uint64 count);
    event DatasetRegraded(DatasetId indexed id, uint8 previous, uint8 level, bytes32 basisDigest);
    event DatasetWithdrawn(DatasetId indexed id, bytes32 reasonDigest);
    event ResponsibilityAdded(EntryId indexed id, MemberId indexed provider, MemberId author, bytes32 itemDigest, uint64 dueBy);
    event ResponsibilityFulfilled(EntryId indexed id, DatasetId indexed dataset, bool late);
    event ResponsibilityWithdrawn(EntryId indexed id, MemberId by, bytes32 reasonDigest);
    event DemandAdded(
        EntryId indexed id, MemberId indexed consumer, MemberId indexed provider, bytes32 itemDigest, bytes32 matter, uint64 deadline
    );
    event DemandAnswered(EntryId indexed id, MemberId indexed by, uint8 status, bytes32 answer, bool late);
    event DemandWithdrawn(EntryId indexed id);
    event NegativeAdded(EntryId indexed id, MemberId indexed provider, bytes32 itemDigest, bytes32 legalBasisDigest);
    event NegativeWithdrawn(EntryId indexed id, bytes32 reasonDigest);

    error Directory__UnknownDataset(DatasetId id);
    error Directory__DatasetExists(DatasetId id);
    /// The id is not that of the sender's code and this resource code.
    error Directory__WrongDatasetId(DatasetId expected, DatasetId actual);
    error Directory__MalformedResourceCode(uint256 length);
    error Directory__NotProvider(DatasetId id, MemberId provider, MemberId sender);
    error Directory__Withdrawn(DatasetId id);
    error Directory__UnknownSharing(uint8 sharing);
    error Directory__UnknownLevel(uint8 level);
    error Directory__NoLegalBasis();
    /// A digest, code or count that must not be zero is zero.
    error Directory__Missing(bytes32 field);
    error Directory__Unchanged(DatasetId id);
    error Directory__UnknownVersion(DatasetId id, uint32 number);
    error Directory__UnknownEntry(EntryId id);
    error Directory__EntryClosed(EntryId id, uint8 status);
    error Directory__NotAllowed(EntryId id, MemberId sender);
    error Directory__UnknownMember(MemberId id);
    error Directory__WrongDeadline(uint64 deadline, uint64 earliest, uint64 latest);

    // --- datasets -----------------------------------------------------------------------------------------------------

    /// @notice Publish a dataset of the sender. The contract recomputes the id, so nobody takes another's.
    /// @param id SHA-256("civicledger/dataset/v1\n" + sender's code + "\n" + resourceCode)
    /// @param sharing 1 unconditional, 2 conditional, 3 not shared (then with a legal basis)
    /// @param level 1 general, 2 important, 3 core
    /// @param metadataDigest Digest of the metadata file, not zero
    /// @param legalBasisDigest Digest of the legal basis; zero allowed where shared
    /// @param resourceCode 1 to 64 visible ASCII characters
    function publishDataset(
        DatasetId id,
        uint8 sharing,
        uint8 level,
        bytes32 metadataDigest,
        bytes32 legalBasisDigest,
        string calldata resourceCode
    ) external;

    function changeMetadata(DatasetId id, bytes32 metadataDigest) external;

    /// @notice Change the sharing type; grants that the new type does not allow stop being active at once.
    function changeSharing(DatasetId id, uint8 sharing, bytes32 legalBasisDigest) external;

    /// @notice Add the next version. `count` is its number of records.
    /// @return number From 1
    function addVersion(DatasetId id, bytes32 contentDigest, uint64 count) external returns (uint32 number);

    /// @notice Set another level. Upwards, grants without the approvals of the new level stop being active at once.
    function regrade(DatasetId id, uint8 level, bytes32 basisDigest) external;

    /// @notice Take a dataset out of use for ever; it stays readable.
    function withdraw(DatasetId id, bytes32 reasonDigest) external;

    function dataset(DatasetId id) external view returns (Dataset memory);

    function datasetCount() external view returns (uint256);

    /// @notice Datasets [from, from + count) in order of publication, at most 200.
    function datasets(uint256 from, uint256 count) external view returns (DatasetId[] memory ids, Dataset[] memory items);

    /// @notice Version `number` (from 1) of a dataset.
    function version(DatasetId id, uint32 number) external view returns (DatasetVersion memory);

    // --- responsibility list ------------------------------------------------------------------------------------------

    /// @notice Enter what a provider must supply: by the provider itself or by a supervisor.
    function addResponsibility(MemberId provider, bytes32 itemDigest, bytes32 basisDigest, uint64 dueBy)
        external
        returns (EntryId id);

    /// @notice Close a responsibility by a dataset of its provider; by the provider.
    function fulfilResponsibility(EntryId id, DatasetId datasetId) external;

    /// @notice Take back a responsibility; by its author or a supervisor.
    function withdrawResponsibility(EntryId id, bytes32 reasonDigest) external;

    function responsibility(EntryId id) external view returns (Responsibility memory);

    function responsibilities(uint256 from, uint256 count)
        external
        view
        returns (EntryId[] memory ids, Responsibility[] memory items);

    // --- demand list --------------------------------------------------------------------------------------------------

    /// @notice Ask for an item. The deadline is a time 1 to 90 days ahead.
    /// @param provider Whom it is addressed to; zero where that is not known
    function addDemand(MemberId provider, bytes32 itemDigest, bytes32 matter, uint64 deadline) external returns (EntryId id);

    /// @notice Answer a demand with a dataset that is shared: by its provider, a supervisor or the consumer itself.
    function matchDemandToDataset(EntryId id, DatasetId datasetId) external;

    /// @notice Answer a demand with an open responsibility: by its provider, a supervisor or the consumer itself.
    function matchDemandToResponsibility(EntryId id, EntryId responsibilityId) external;

    /// @notice Answer a demand from the negative list: by the provider of that entry or a supervisor.
    function answerDemandFromNegative(EntryId id, EntryId negativeId) external;

    /// @notice Take back a demand; by its consumer.
    function withdrawDemand(EntryId id) external;

    function demand(EntryId id) external view returns (Demand memory);

    function demands(uint256 from, uint256 count) external view returns (EntryId[] memory ids, Demand[] memory items);

    // --- negative list ------------------------------------------------------------------------------------------------

    /// @notice Enter an item the sender does not share, with its legal basis.
    function addNegative(bytes32 itemDigest, bytes32 legalBasisDigest) external returns (EntryId id);

    /// @notice Take an item off the negative list; by its provider.
    function withdrawNegative(EntryId id, bytes32 reasonDigest) external;

    function negative(EntryId id) external view returns (Negative memory);

    function negatives(uint256 from, uint256 count) external view returns (EntryId[] memory ids, Negative[] memory items);

    /// @notice Lengths of the responsibility, demand and negative list.
    function listCounts() external view returns (uint256 responsibilityCount, uint256 demandCount, uint256 negativeCount);
}
