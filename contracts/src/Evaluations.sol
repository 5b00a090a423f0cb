// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Consorted} from "./Consorted.sol";
import {IRecognition} from "./IRecognition.sol";
import {
    EqaId,
    ItemId,
    MAX_PAGE,
    MemberId,
    NAME_RECOGNITION,
    RangeId,
    ROLE_HEALTH,
    ROLE_HOSPITAL,
    ROLE_QUALITY,
    pageEnd
} from "./Types.sol";

/// @title The half of Recognition about quality: items, label ranges, records of external quality assessment
abstract contract Evaluations is IRecognition, Consorted {
    uint64 internal constant LONGEST_SPAN = 3_660 days;

    mapping(ItemId => Item) private _items;
    mapping(RangeId => LabelRange) private _ranges;
    mapping(EqaId => Eqa) private _eqas;
    ItemId[] private _itemIds;
    RangeId[] private _rangeIds;
    EqaId[] private _eqaIds;
    mapping(MemberId => EqaId[]) private _eqasOf;
    /// keccak256(range, item, institution, scheme, round): the record of that round that counts.
    mapping(bytes32 => EqaId) private _rounds;

    // --- items --------------------------------------------------------------------------------------------------------

    /// @inheritdoc IRecognition
    function addItems(ItemId[] calldata items_) external {
        (MemberId sender,) = _commission();
        _checkCount(items_.length);
        for (uint256 i = 0; i < items_.length; ++i) {
            ItemId item = items_[i];
            _checkCode(ItemId.unwrap(item));
            if (isItem(item)) revert Recognition__ItemKnown(item);
            _items[item] = Item(uint64(block.timestamp), sender);
            _itemIds.push(item);
            emit ItemAdded(item, sender);
        }
    }

    /// @inheritdoc IRecognition
    function isItem(ItemId item) public view returns (bool) {
        return _items[item].addedAt != 0;
    }

    /// @inheritdoc IRecognition
    function itemCount() external view returns (uint256) {
        return _itemIds.length;
    }

    /// @inheritdoc IRecognition
    function items(uint256 from, uint256 count) external view returns (ItemId[] memory ids, Item[] memory entries) {
        uint256 end = pageEnd(from, count, _itemIds.length);
        ids = new ItemId[](end - from);
        entries = new Item[](end - from);
        for (uint256 i = from; i < end; ++i) {
            ids[i - from] = _itemIds[i];
            entries[i - from] = _items[_itemIds[i]];
        }
    }

    // --- label ranges -------------------------------------------------------------------------------------------------

    /// @inheritdoc IRecognition
    function openRange(RangeId range, bytes32 label, MemberId quality, uint64 validFrom) external {
        (MemberId sender, uint32 region) = _commission();
        _checkCode(RangeId.unwrap(range));
        LabelRange storage entry = _ranges[range];
        if (entry.openedAt != 0) revert Recognition__RangeExists(range);
        _require(label, "label");
        if (!CONSORTIUM.hasRole(quality, ROLE_QUALITY)) revert Recognition__NotQualityBody(range, quality);
        uint64 time = uint64(block.timestamp);
        if (validFrom == 0) validFrom = time;
        uint64 latest = time + LONGEST_SPAN;
        uint64 earliest = time - LONGEST_SPAN;
        if (validFrom < earliest || validFrom > latest) revert Recognition__WrongTime(validFrom, earliest, latest);
        _ranges[range] = LabelRange(region, validFrom, 0, time, label, quality, sender);
        _rangeIds.push(range);
        emit RangeOpened(range, quality, sender, region, label, validFrom);
    }

    /// @inheritdoc IRecognition
    function endRange(RangeId range, uint64 validUntil, bytes32 reasonDigest) external {
        (MemberId sender, uint32 region) = _commission();
        LabelRange storage entry = _opened(range);
        if (entry.region != region) revert Recognition__OtherRegion(RangeId.unwrap(range), entry.region, region);
        _require(reasonDigest, "reasonDigest");
        uint64 earliest = uint64(block.timestamp);
        if (entry.validFrom > earliest) earliest = entry.validFrom;
        if (validUntil == 0) validUntil = earliest;
        if (validUntil < earliest || (entry.validUntil != 0 && validUntil >= entry.validUntil)) {
            revert Recognition__WrongEnd(validUntil, earliest, entry.validUntil);
        }
        entry.validUntil = validUntil;
        emit RangeEnded(range, sender, validUntil, reasonDigest);
    }

    /// @inheritdoc IRecognition
    function labelRange(RangeId range) external view returns (LabelRange memory) {
        return _opened(range);
    }

    /// @inheritdoc IRecognition
    function rangeCount() external view returns (uint256) {
        return _rangeIds.length;
    }

    /// @inheritdoc IRecognition
    function ranges(uint256 from, uint256 count)
        external
        view
        returns (RangeId[] memory ids, LabelRange[] memory entries)
    {
        uint256 end = pageEnd(from, count, _rangeIds.length);
        ids = new RangeId[](end - from);
        entries = new LabelRange[](end - from);
        for (uint256 i = from; i < end; ++i) {
            ids[i - from] = _rangeIds[i];
            entries[i - from] = _ranges[_rangeIds[i]];
        }
    }

    // --- quality assessment -------------------------------------------------------------------------------------------

    /// @inheritdoc IRecognition
    function recordEqas(EqaResult[] calldata results) external {
        MemberId sender = _actor();
        _checkCount(results.length);
        bool assesses = CONSORTIUM.hasRole(sender, ROLE_QUALITY);
        for (uint256 i = 0; i < results.length; ++i) {
            EqaResult calldata result = results[i];
            LabelRange storage range = _inUse(result.range);
            if (!assesses || range.quality != sender) {
                revert Recognition__NotQualityBody(result.range, sender);
            }
            _checkResult(result);
            _recordEqa(result, sender);
        }
    }

    /// @inheritdoc IRecognition
    function revokeEqa(EqaId id, uint64 since, bytes32 reasonDigest) external {
        MemberId sender = _actor();
        Eqa storage entry = _recorded(id);
        _checkRevokes(entry, sender);
        _require(reasonDigest, "reasonDigest");
        uint64 latest = uint64(block.timestamp);
        if (entry.validFrom > latest) latest = entry.validFrom;
        if (since == 0) since = latest;
        bool later = entry.revokedSince != 0 && since >= entry.revokedSince;
        if (later || since < entry.validFrom || since > latest) {
            revert Recognition__WrongRevocation(since, entry.validFrom, latest, entry.revokedSince);
        }
        entry.revokedSince = since;
        entry.revokedAt = uint64(block.timestamp);
        entry.revokedBy = sender;
        emit EqaRevoked(id, entry.institution, sender, since, reasonDigest);
    }

    /// @inheritdoc IRecognition
    function eqa(EqaId id) external view returns (Eqa memory) {
        return _recorded(id);
    }

    /// @inheritdoc IRecognition
    function eqaCount() external view returns (uint256) {
        return _eqaIds.length;
    }

    /// @inheritdoc IRecognition
    function eqas(uint256 from, uint256 count) external view returns (EqaId[] memory ids, Eqa[] memory entries) {
        return _eqaPage(_eqaIds, from, count);
    }

    /// @inheritdoc IRecognition
    function eqaCountOf(MemberId member) external view returns (uint256) {
        return _eqasOf[member].length;
    }

    /// @inheritdoc IRecognition
    function eqasOf(MemberId member, uint256 from, uint256 count)
        external
        view
        returns (EqaId[] memory ids, Eqa[] memory entries)
    {
        return _eqaPage(_eqasOf[member], from, count);
    }

    function _eqaPage(EqaId[] storage all, uint256 from, uint256 count)
        private
        view
        returns (EqaId[] memory ids, Eqa[] memory entries)
    {
        uint256 end = pageEnd(from, count, all.length);
        ids = new EqaId[](end - from);
        entries = new Eqa[](end - from);
        for (uint256 i = from; i < end; ++i) {
            ids[i - from] = all[i];
            entries[i - from] = _eqas[all[i]];
        }
    }

    function _checkResult(EqaResult calldata result) private view {
        if (!isItem(result.item)) revert Recognition__UnknownItem(result.item);
        if (!CONSORTIUM.hasRole(result.institution, ROLE_HOSPITAL)) revert Recognition__NotHospital(result.institution);
        _checkCode(result.scheme);
        _require(result.certificateDigest, "certificateDigest");
        _require(bytes32(uint256(result.round)), "round");
        _require(bytes32(uint256(result.validFrom)), "validFrom");
        uint64 latest = uint64(block.timestamp) + LONGEST_SPAN;
        if (result.validUntil <= result.validFrom || result.validUntil > latest) {
            revert Recognition__SpanTooLong(result.validFrom, result.validUntil, latest);
        }
    }

    function _recordEqa(EqaResult calldata result, MemberId sender) private {
        bytes32 round = keccak256(
            abi.encode(result.range, result.item, result.institution, result.scheme, result.round)
        );
        EqaId known = _rounds[round];
        if (EqaId.unwrap(known) != 0 && _eqas[known].revokedSince == 0) revert Recognition__EqaKnown(known);
        EqaId id = EqaId.wrap(keccak256(abi.encode(block.chainid, address(this), _eqaIds.length)));
        _rounds[round] = id;
        _eqaIds.push(id);
        _eqasOf[result.institution].push(id);
        Eqa storage entry = _eqas[id];
        entry.range = result.range;
        entry.item = result.item;
        entry.institution = result.institution;
        entry.scheme = result.scheme;
        entry.certificateDigest = result.certificateDigest;
        entry.round = result.round;
        entry.passed = result.passed;
        entry.validFrom = result.validFrom;
        entry.validUntil = result.validUntil;
        entry.recordedAt = uint64(block.timestamp);
        entry.by = sender;
        emit EqaRecorded(
            id, result.institution, result.item, result.range, sender, result.scheme, result.round, result.passed
        );
    }

    /// The quality body that recorded it; a commission of the range's region while that body does not act as one.
    function _checkRevokes(Eqa storage entry, MemberId sender) private view {
        MemberId body = entry.by;
        if (CONSORTIUM.hasRole(body, ROLE_QUALITY)) {
            if (sender != body) revert Recognition__NotQualityBody(entry.range, sender);
            return;
        }
        uint32 region = _regionOf(sender);
        uint32 owner = _ranges[entry.range].region;
        if (owner != region) revert Recognition__OtherRegion(RangeId.unwrap(entry.range), owner, region);
    }

    function _opened(RangeId range) private view returns (LabelRange storage entry) {
        entry = _ranges[range];
        if (entry.openedAt == 0) revert Recognition__UnknownRange(range);
    }

    /// The entry of a range whose end has not come.
    function _inUse(RangeId range) internal view returns (LabelRange storage entry) {
        entry = _opened(range);
        if (entry.validUntil != 0 && block.timestamp >= entry.validUntil) {
            revert Recognition__RangeEnded(range, entry.validUntil);
        }
    }

    function _recorded(EqaId id) private view returns (Eqa storage entry) {
        entry = _eqas[id];
        if (entry.recordedAt == 0) revert Recognition__UnknownEqa(id);
    }

    // --- what both halves ask -----------------------------------------------------------------------------------------

    /// The commission that sends this call, and the region it speaks for.
    function _commission() internal view returns (MemberId sender, uint32 region) {
        sender = _actor();
        region = _regionOf(sender);
    }

    function _regionOf(MemberId sender) private view returns (uint32) {
        if (!CONSORTIUM.hasRole(sender, ROLE_HEALTH)) revert Recognition__NotCommission(sender);
        return CONSORTIUM.member(sender).region;
    }

    function _checkCode(bytes32 code) internal pure {
        bool ended = code[0] == 0;
        bool malformed = ended;
        for (uint256 i = 0; i < 32; ++i) {
            bytes1 sign = code[i];
            bool visible = sign > 0x20 && sign < 0x7f;
            if (sign == 0) ended = true;
            else if (ended || !visible) malformed = true;
        }
        if (malformed) revert Recognition__MalformedCode(code);
    }

    function _checkCount(uint256 count) internal pure {
        if (count == 0 || count > MAX_PAGE) revert Recognition__WrongCount(count, MAX_PAGE);
    }

    function _require(bytes32 value, bytes32 field) internal pure {
        if (value == 0) revert Recognition__Missing(field);
    }

    function _name() internal pure override returns (bytes32) {
        return NAME_RECOGNITION;
    }
}
