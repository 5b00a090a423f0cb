// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Consorted} from "./Consorted.sol";
import {IDirectory} from "./IDirectory.sol";
import {
    DatasetId,
    LEVEL_CORE,
    LEVEL_GENERAL,
    MemberId,
    NAME_DIRECTORY,
    NO_MEMBER,
    SHARING_NONE,
    SHARING_UNCONDITIONAL,
    pageEnd
} from "./Types.sol";

/// @title The catalogue's half of the Directory
abstract contract Datasets is IDirectory, Consorted {
    uint256 private constant MAX_RESOURCE_CODE = 64;

    mapping(DatasetId => Dataset) private _datasets;
    mapping(DatasetId => mapping(uint32 => DatasetVersion)) private _versions;
    DatasetId[] private _datasetIds;

    /// @inheritdoc IDirectory
    function publishDataset(
        DatasetId id,
        uint8 sharing,
        uint8 level,
        bytes32 metadataDigest,
        bytes32 legalBasisDigest,
        string calldata resourceCode
    ) external {
        MemberId provider = _actor();
        DatasetId expected = _datasetId(provider, resourceCode);
        if (id != expected) revert Directory__WrongDatasetId(expected, id);
        if (_datasets[id].provider != NO_MEMBER) revert Directory__DatasetExists(id);
        _checkSharing(sharing, legalBasisDigest);
        _checkLevel(level);
        _require(metadataDigest, "metadataDigest");
        uint64 time = uint64(block.timestamp);
        _datasets[id] = Dataset(provider, sharing, level, false, 0, time, time, metadataDigest, legalBasisDigest);
        _datasetIds.push(id);
        emit DatasetPublished(id, provider, sharing, level, metadataDigest, legalBasisDigest, resourceCode);
    }

    /// @inheritdoc IDirectory
    function changeMetadata(DatasetId id, bytes32 metadataDigest) external {
        Dataset storage item = _own(id);
        _require(metadataDigest, "metadataDigest");
        if (item.metadataDigest == metadataDigest) revert Directory__Unchanged(id);
        item.metadataDigest = metadataDigest;
        emit MetadataChanged(id, metadataDigest);
    }

    /// @inheritdoc IDirectory
    function changeSharing(DatasetId id, uint8 sharing, bytes32 legalBasisDigest) external {
        Dataset storage item = _own(id);
        _checkSharing(sharing, legalBasisDigest);
        uint8 previous = item.sharing;
        if (previous == sharing && item.legalBasisDigest == legalBasisDigest) revert Directory__Unchanged(id);
        item.sharing = sharing;
        item.legalBasisDigest = legalBasisDigest;
        emit SharingChanged(id, previous, sharing, legalBasisDigest);
    }

    /// @inheritdoc IDirectory
    function addVersion(DatasetId id, bytes32 contentDigest, uint64 count) external returns (uint32 number) {
        Dataset storage item = _own(id);
        _require(contentDigest, "contentDigest");
        number = ++item.versions;
        _versions[id][number] = DatasetVersion(contentDigest, count, uint64(block.timestamp));
        emit VersionAdded(id, number, contentDigest, count);
    }

    /// @inheritdoc IDirectory
    function regrade(DatasetId id, uint8 level, bytes32 basisDigest) external {
        Dataset storage item = _own(id);
        _checkLevel(level);
        _require(basisDigest, "basisDigest");
        uint8 previous = item.level;
        if (previous == level) revert Directory__Unchanged(id);
        item.level = level;
        emit DatasetRegraded(id, previous, level, basisDigest);
    }

    /// @inheritdoc IDirectory
    function withdraw(DatasetId id, bytes32 reasonDigest) external {
        Dataset storage item = _own(id);
        _require(reasonDigest, "reasonDigest");
        item.withdrawn = true;
        emit DatasetWithdrawn(id, reasonDigest);
    }

    /// @inheritdoc IDirectory
    function dataset(DatasetId id) public view returns (Dataset memory item) {
        item = _datasets[id];
        if (item.provider == NO_MEMBER) revert Directory__UnknownDataset(id);
    }

    /// @inheritdoc IDirectory
    function datasetCount() external view returns (uint256) {
        return _datasetIds.length;
    }

    /// @inheritdoc IDirectory
    function datasets(uint256 from, uint256 count) external view returns (DatasetId[] memory ids, Dataset[] memory items) {
        uint256 end = pageEnd(from, count, _datasetIds.length);
        ids = new DatasetId[](end - from);
        items = new Dataset[](end - from);
        for (uint256 i = from; i < end; ++i) {
            ids[i - from] = _datasetIds[i];
            items[i - from] = _datasets[_datasetIds[i]];
        }
    }

    /// @inheritdoc IDirectory
    function version(DatasetId id, uint32 number) external view returns (DatasetVersion memory) {
        if (number == 0 || number > dataset(id).versions) revert Directory__UnknownVersion(id, number);
        return _versions[id][number];
    }

    /// The sender's dataset that is not withdrawn, marked as changed now.
    function _own(DatasetId id) private returns (Dataset storage item) {
        MemberId sender = _actor();
        item = _datasets[id];
        if (item.provider == NO_MEMBER) revert Directory__UnknownDataset(id);
        if (item.provider != sender) revert Directory__NotProvider(id, item.provider, sender);
        if (item.withdrawn) revert Directory__Withdrawn(id);
        item.changedAt = uint64(block.timestamp);
    }

    /// SHA-256("civicledger/dataset/v1\n" || 18 characters of the code || "\n" || resource code), as docs/formats.md says.
    function _datasetId(MemberId provider, string calldata resourceCode) private pure returns (DatasetId) {
        bytes calldata code = bytes(resourceCode);
        if (code.length == 0 || code.length > MAX_RESOURCE_CODE) revert Directory__MalformedResourceCode(code.length);
        for (uint256 i = 0; i < code.length; ++i) {
            if (code[i] < 0x21 || code[i] > 0x7e) revert Directory__MalformedResourceCode(code.length);
        }
        bytes18 uscc = bytes18(MemberId.unwrap(provider));
        return DatasetId.wrap(sha256(abi.encodePacked("civicledger/dataset/v1\n", uscc, "\n", resourceCode)));
    }

    function _checkSharing(uint8 sharing, bytes32 legalBasisDigest) private pure {
        if (sharing < SHARING_UNCONDITIONAL || sharing > SHARING_NONE) revert Directory__UnknownSharing(sharing);
        if (sharing == SHARING_NONE && legalBasisDigest == 0) revert Directory__NoLegalBasis();
    }

    function _checkLevel(uint8 level) private pure {
        if (level < LEVEL_GENERAL || level > LEVEL_CORE) revert Directory__UnknownLevel(level);
    }

    function _require(bytes32 value, bytes32 field) internal pure {
        if (value == 0) revert Directory__Missing(field);
    }

    function _name() internal pure override returns (bytes32) {
        return NAME_DIRECTORY;
    }
}
