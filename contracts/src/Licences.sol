// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Consorted} from "./Consorted.sol";
import {ILicences} from "./ILicences.sol";
import {LicenceTypeId, MemberId, NAME_LICENCES, NO_MEMBER, ROLE_SUPERVISOR, pageEnd} from "./Types.sol";

/// @title Licence types, who may issue them, and the heads of the status lists
/// @notice What each function does is said in ILicences.
contract Licences is ILicences, Consorted {
    uint256 private constant BODY_CHARACTERS = 18;
    uint256 private constant CODE_CHARACTERS = 21;
    uint64 private constant LONGEST_SPAN = 36_500 days;
    uint32 private constant MAX_LIST = 1 << 24;

    struct StatusList {
        bytes32 uriDigest;
        ListVersion[] versions;
    }

    // Slots 0 to 2 are frozen: offline verifiers read them by storage proof.
    mapping(LicenceTypeId => LicenceType) private _types;
    mapping(LicenceTypeId => mapping(MemberId => Accreditation[])) private _accreditations;
    mapping(MemberId => mapping(uint32 => StatusList)) private _lists;
    LicenceTypeId[] private _codes;
    mapping(LicenceTypeId => MemberId[]) private _issuers;
    mapping(MemberId => uint32) private _listsOf;

    constructor(address consortium) Consorted(consortium) {}

    /// @inheritdoc ILicences
    function defineType(LicenceTypeId code, bytes32 metadataDigest) external {
        MemberId sender = _actor();
        _checkCode(code);
        _checkDecides(code, sender);
        LicenceType storage item = _types[code];
        if (item.definedAt != 0) revert Licences__TypeExists(code);
        _require(metadataDigest, "metadataDigest");
        item.definedAt = uint64(block.timestamp);
        item.changedAt = uint64(block.timestamp);
        item.metadataDigest = metadataDigest;
        item.by = sender;
        _codes.push(code);
        emit TypeDefined(code, sender, metadataDigest);
    }

    /// @inheritdoc ILicences
    function changeMetadata(LicenceTypeId code, bytes32 metadataDigest) external {
        MemberId sender = _actor();
        LicenceType storage item = _inUse(code);
        _checkDecides(code, sender);
        _require(metadataDigest, "metadataDigest");
        if (item.metadataDigest == metadataDigest) revert Licences__Unchanged(code);
        item.metadataDigest = metadataDigest;
        item.changedAt = uint64(block.timestamp);
        emit TypeChanged(code, sender, metadataDigest);
    }

    /// @inheritdoc ILicences
    function withdrawType(LicenceTypeId code, bytes32 reasonDigest) external {
        MemberId sender = _actor();
        LicenceType storage item = _inUse(code);
        _checkDecides(code, sender);
        _require(reasonDigest, "reasonDigest");
        item.withdrawnAt = uint64(block.timestamp);
        item.changedAt = uint64(block.timestamp);
        emit TypeWithdrawn(code, sender, reasonDigest);
    }

    /// @inheritdoc ILicences
    function accredit(LicenceTypeId code, MemberId member, uint64 validFrom, uint64 validUntil, bytes32 basisDigest)
        external
        returns (uint256 number)
    {
        MemberId sender = _actor();
        _inUse(code);
        _checkDecides(code, sender);
        if (member == sender && sender != _body(code)) revert Licences__NotForItself(code, sender);
        if (!CONSORTIUM.isActive(member)) revert Licences__UnknownMember(member);
        _require(basisDigest, "basisDigest");
        Accreditation[] storage spans = _accreditations[code][member];
        number = spans.length + 1;
        uint64 time = uint64(block.timestamp);
        if (validFrom == 0) validFrom = time;
        if (number == 1) _issuers[code].push(member);
        uint64 earliest = _nextBegin(code, member, spans);
        uint64 latest = time + LONGEST_SPAN;
        bool endsBefore = validUntil != 0 && validUntil <= validFrom;
        if (validFrom < earliest || validFrom > latest || validUntil > latest || endsBefore) {
            revert Licences__WrongSpan(validFrom, validUntil, earliest, latest);
        }
        spans.push(Accreditation(validFrom, validUntil, time, 0, sender, NO_MEMBER, basisDigest));
        emit Accredited(code, member, sender, number, validFrom, validUntil, basisDigest);
    }

    /// @inheritdoc ILicences
    function endAccreditation(
        LicenceTypeId code,
        MemberId member,
        uint256 number,
        uint64 validUntil,
        bytes32 reasonDigest
    ) external {
        MemberId sender = _actor();
        _existing(code);
        if (!CONSORTIUM.hasRole(sender, ROLE_SUPERVISOR)) _checkDecides(code, sender);
        Accreditation[] storage spans = _accreditations[code][member];
        if (number == 0 || number > spans.length) revert Licences__UnknownAccreditation(code, member, number);
        Accreditation storage span = spans[number - 1];
        _require(reasonDigest, "reasonDigest");
        uint64 earliest = uint64(block.timestamp);
        if (span.validFrom > earliest) earliest = span.validFrom;
        if (validUntil == 0) validUntil = earliest;
        if (validUntil < earliest || (span.validUntil != 0 && validUntil >= span.validUntil)) {
            revert Licences__WrongEnd(validUntil, earliest, span.validUntil);
        }
        span.validUntil = validUntil;
        span.endedAt = uint64(block.timestamp);
        span.endedBy = sender;
        emit AccreditationEnded(code, member, sender, number, validUntil, reasonDigest);
    }

    /// @inheritdoc ILicences
    function recordList(
        LicenceTypeId code,
        uint32 number,
        uint32 version,
        bytes32 uriDigest,
        bytes32 listDigest,
        bytes32 tokenDigest,
        uint32 inflatedBytes,
        uint8 bits
    ) external {
        MemberId issuer = _actor();
        uint64 time = uint64(block.timestamp);
        if (!accreditedAt(code, issuer, time)) revert Licences__NotAccredited(code, issuer, time);
        _require(uriDigest, "uriDigest");
        _require(listDigest, "listDigest");
        _require(tokenDigest, "tokenDigest");
        StatusList storage list = _listFor(issuer, number, uriDigest);
        _checkVersion(list.versions, number, version, listDigest, inflatedBytes, bits);
        list.versions.push(ListVersion(listDigest, tokenDigest, time, inflatedBytes, bits));
        emit ListRecorded(issuer, number, version, code, listDigest, tokenDigest);
    }

    /// @inheritdoc ILicences
    function licenceType(LicenceTypeId code) external view returns (LicenceType memory) {
        return _existing(code);
    }

    /// @inheritdoc ILicences
    function licenceTypeCount() external view returns (uint256) {
        return _codes.length;
    }

    /// @inheritdoc ILicences
    function licenceTypes(uint256 from, uint256 count)
        external
        view
        returns (LicenceTypeId[] memory codes, LicenceType[] memory items)
    {
        uint256 end = pageEnd(from, count, _codes.length);
        codes = new LicenceTypeId[](end - from);
        items = new LicenceType[](end - from);
        for (uint256 i = from; i < end; ++i) {
            codes[i - from] = _codes[i];
            items[i - from] = _types[_codes[i]];
        }
    }

    /// @inheritdoc ILicences
    function accreditedAt(LicenceTypeId code, MemberId member, uint64 time) public view returns (bool) {
        LicenceType storage item = _types[code];
        if (item.withdrawnAt != 0 && time >= item.withdrawnAt) return false;
        Accreditation[] storage spans = _accreditations[code][member];
        // The last is nearly always the one.
        for (uint256 i = spans.length; i > 0; --i) {
            Accreditation storage span = spans[i - 1];
            if (span.validFrom <= time && (span.validUntil == 0 || time < span.validUntil)) return true;
        }
        return false;
    }

    /// @inheritdoc ILicences
    function issuersOf(LicenceTypeId code, uint256 from, uint256 count) external view returns (MemberId[] memory ids) {
        MemberId[] storage all = _issuers[code];
        uint256 end = pageEnd(from, count, all.length);
        ids = new MemberId[](end - from);
        for (uint256 i = from; i < end; ++i) {
            ids[i - from] = all[i];
        }
    }

    /// @inheritdoc ILicences
    function accreditationCount(LicenceTypeId code, MemberId member) external view returns (uint256) {
        return _accreditations[code][member].length;
    }

    /// @inheritdoc ILicences
    function accreditations(LicenceTypeId code, MemberId member, uint256 from, uint256 count)
        external
        view
        returns (Accreditation[] memory page)
    {
        Accreditation[] storage all = _accreditations[code][member];
        uint256 end = pageEnd(from, count, all.length);
        page = new Accreditation[](end - from);
        for (uint256 i = from; i < end; ++i) {
            page[i - from] = all[i];
        }
    }

    /// @inheritdoc ILicences
    function listCount(MemberId issuer) external view returns (uint32) {
        return _listsOf[issuer];
    }

    /// @inheritdoc ILicences
    function listHead(MemberId issuer, uint32 number)
        external
        view
        returns (bytes32 uriDigest, uint32 version, ListVersion memory head)
    {
        StatusList storage list = _lists[issuer][number];
        version = uint32(list.versions.length);
        if (version == 0) revert Licences__UnknownList(issuer, number);
        return (list.uriDigest, version, list.versions[version - 1]);
    }

    /// @inheritdoc ILicences
    function listVersions(MemberId issuer, uint32 number, uint256 from, uint256 count)
        external
        view
        returns (ListVersion[] memory page)
    {
        ListVersion[] storage all = _lists[issuer][number].versions;
        uint256 end = pageEnd(from, count, all.length);
        page = new ListVersion[](end - from);
        for (uint256 i = from; i < end; ++i) {
            page[i - from] = all[i];
        }
    }

    /// The earliest begin of the next span: now, or where the last ends that was not ended before it began.
    function _nextBegin(LicenceTypeId code, MemberId member, Accreditation[] storage spans) private view returns (uint64) {
        uint64 time = uint64(block.timestamp);
        for (uint256 i = spans.length; i > 0; --i) {
            Accreditation storage span = spans[i - 1];
            if (span.validUntil == 0) revert Licences__AlreadyAccredited(code, member, i);
            if (span.validUntil > span.validFrom) return span.validUntil > time ? span.validUntil : time;
        }
        return time;
    }

    /// The sender's list of that number and uri; the next new number opens a list.
    function _listFor(MemberId issuer, uint32 number, bytes32 uriDigest) private returns (StatusList storage list) {
        uint32 held = _listsOf[issuer];
        if (number == 0 || number > held + 1) revert Licences__WrongListNumber(number, held + 1);
        list = _lists[issuer][number];
        if (number > held) {
            _listsOf[issuer] = number;
            list.uriDigest = uriDigest;
        } else if (list.uriDigest != uriDigest) {
            revert Licences__OtherUri(number, list.uriDigest, uriDigest);
        }
    }

    function _checkVersion(
        ListVersion[] storage versions,
        uint32 number,
        uint32 version,
        bytes32 listDigest,
        uint32 inflatedBytes,
        uint8 bits
    ) private view {
        uint32 held = uint32(versions.length);
        if (version != held + 1) revert Licences__WrongVersion(number, version, held + 1);
        uint32 least = 1;
        if (held == 0) {
            if (bits != 1 && bits != 2 && bits != 4 && bits != 8) revert Licences__WrongBits(bits, 0);
        } else {
            ListVersion storage last = versions[held - 1];
            if (bits != last.bits) revert Licences__WrongBits(bits, last.bits);
            if (listDigest == last.listDigest) revert Licences__SameList(number, held, listDigest);
            least = last.inflatedBytes;
        }
        if (inflatedBytes < least || inflatedBytes > MAX_LIST) {
            revert Licences__WrongSize(inflatedBytes, least, MAX_LIST);
        }
    }

    function _existing(LicenceTypeId code) private view returns (LicenceType storage item) {
        item = _types[code];
        if (item.definedAt == 0) revert Licences__UnknownType(code);
    }

    function _inUse(LicenceTypeId code) private view returns (LicenceType storage item) {
        item = _existing(code);
        if (item.withdrawnAt != 0) revert Licences__TypeWithdrawn(code);
    }

    /// The body that defines a type stands in the first 18 characters of its code.
    function _body(LicenceTypeId code) private pure returns (MemberId) {
        return MemberId.wrap(bytes32(bytes18(LicenceTypeId.unwrap(code))));
    }

    /// The defining body decides; a supervisor only while that body is no active member.
    function _checkDecides(LicenceTypeId code, MemberId sender) private view {
        MemberId body = _body(code);
        if (sender == body) return;
        if (CONSORTIUM.isActive(body) || !CONSORTIUM.hasRole(sender, ROLE_SUPERVISOR)) {
            revert Licences__NotDefiningBody(code, sender);
        }
    }

    function _checkCode(LicenceTypeId code) private pure {
        bytes32 text = LicenceTypeId.unwrap(code);
        for (uint256 i = 0; i < 32; ++i) {
            bytes1 sign = text[i];
            bool digit = sign >= "0" && sign <= "9";
            bool letter = i < BODY_CHARACTERS && sign >= "A" && sign <= "Z";
            bool padding = i >= CODE_CHARACTERS && sign == 0;
            if (i < CODE_CHARACTERS ? !digit && !letter : !padding) revert Licences__MalformedCode(code);
        }
    }

    function _require(bytes32 value, bytes32 field) private pure {
        if (value == 0) revert Licences__Missing(field);
    }

    function _name() internal pure override returns (bytes32) {
        return NAME_LICENCES;
    }
}
