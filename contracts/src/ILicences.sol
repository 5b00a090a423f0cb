// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {LicenceTypeId, MemberId} from "./Types.sol";

/// @title Licence types, who may issue them, and the heads of the status lists
/// @notice Codes, times, member ids and digests only: nothing of a licence or of its holder. Nothing is deleted, and no past
/// moment changes: an end lies now or later, so what a verifier read of yesterday is true of yesterday for ever.
/// Who decides on a type is the body in the first 18 characters of its code. While that body is no active member (a
/// ministry outside the city, a suspended member) a supervisor decides in its place, but never accredits itself; and a
/// supervisor may end any accreditation. Each entry says who it was. Slots 0 to 2 are frozen (contracts/storageLayout.json).
interface ILicences {
    /// @param definedAt Seconds
    /// @param withdrawnAt Seconds, 0 in use: from then on nobody issues licences of this type
    /// @param changedAt Seconds of the last change of the metadata, or of the withdrawal
    /// @param metadataDigest Digest of the type's description
    /// @param by Who defined it: the body in its code, or a supervisor in its place
    struct LicenceType {
        uint64 definedAt;
        uint64 withdrawnAt;
        uint64 changedAt;
        bytes32 metadataDigest;
        MemberId by;
    }

    /// A span in which a member may issue licences of a type: validFrom <= time < validUntil.
    /// @param validFrom Seconds
    /// @param validUntil Seconds, 0 open
    /// @param madeAt Seconds: when it was entered
    /// @param endedAt Seconds: when its end was moved last, 0 never
    /// @param by Who accredited
    /// @param endedBy Who moved its end last, or zero
    /// @param basisDigest Digest of the decision it rests on
    struct Accreditation {
        uint64 validFrom;
        uint64 validUntil;
        uint64 madeAt;
        uint64 endedAt;
        MemberId by;
        MemberId endedBy;
        bytes32 basisDigest;
    }

    /// One version of a status list; the first is version 1.
    /// @param listDigest SHA-256 of the inflated list: a token signed again with the same bits still matches it
    /// @param tokenDigest SHA-256 of the signed token that carried it first
    /// @param time Seconds: from then on this version tells the status
    /// @param inflatedBytes Size of the inflated list
    /// @param bits Bits of one entry: 1, 2, 4 or 8
    struct ListVersion {
        bytes32 listDigest;
        bytes32 tokenDigest;
        uint64 time;
        uint32 inflatedBytes;
        uint8 bits;
    }

    event TypeDefined(LicenceTypeId indexed code, MemberId indexed by, bytes32 metadataDigest);
    event TypeChanged(LicenceTypeId indexed code, MemberId indexed by, bytes32 metadataDigest);
    event TypeWithdrawn(LicenceTypeId indexed code, MemberId indexed by, bytes32 reasonDigest);
    event Accredited(
        LicenceTypeId indexed code,
        MemberId indexed member,
        MemberId indexed by,
        uint256 number,
        uint64 validFrom,
        uint64 validUntil,
        bytes32 basisDigest
    );
    event AccreditationEnded(
        LicenceTypeId indexed code,
        MemberId indexed member,
        MemberId indexed by,
        uint256 number,
        uint64 validUntil,
        bytes32 reasonDigest
    );
    event ListRecorded(
        MemberId indexed issuer,
        uint32 indexed number,
        uint32 indexed version,
        LicenceTypeId code,
        bytes32 listDigest,
        bytes32 tokenDigest
    );

    error Licences__MalformedCode(LicenceTypeId code);
    error Licences__UnknownType(LicenceTypeId code);
    error Licences__TypeExists(LicenceTypeId code);
    error Licences__TypeWithdrawn(LicenceTypeId code);
    error Licences__Unchanged(LicenceTypeId code);
    error Licences__NotDefiningBody(LicenceTypeId code, MemberId sender);
    /// A supervisor in the place of a defining body does not accredit itself.
    error Licences__NotForItself(LicenceTypeId code, MemberId sender);
    /// A digest that must not be zero is zero.
    error Licences__Missing(bytes32 field);
    error Licences__UnknownMember(MemberId id);
    error Licences__AlreadyAccredited(LicenceTypeId code, MemberId member, uint256 number);
    error Licences__WrongSpan(uint64 validFrom, uint64 validUntil, uint64 earliest, uint64 latest);
    error Licences__UnknownAccreditation(LicenceTypeId code, MemberId member, uint256 number);
    /// The end would not move earlier, or into the past.
    error Licences__WrongEnd(uint64 validUntil, uint64 earliest, uint64 current);
    error Licences__NotAccredited(LicenceTypeId code, MemberId member, uint64 time);
    error Licences__UnknownList(MemberId issuer, uint32 number);
    error Licences__WrongListNumber(uint32 number, uint32 next);
    error Licences__WrongVersion(uint32 number, uint32 version, uint32 next);
    error Licences__OtherUri(uint32 number, bytes32 recorded, bytes32 uriDigest);
    /// Entries have 1, 2, 4 or 8 bits, and those of one list always the same.
    error Licences__WrongBits(uint8 bits, uint8 recorded);
    error Licences__WrongSize(uint32 inflatedBytes, uint32 least, uint32 most);
    error Licences__SameList(uint32 number, uint32 version, bytes32 listDigest);

    // --- types --------------------------------------------------------------------------------------------------------

    /// @notice Define a licence type, by the body in its code or a supervisor in its place.
    /// @param code 18 characters (0-9, A-Z) of the defining body's code and 3 digits
    /// @param metadataDigest Digest of the type's description, not zero
    function defineType(LicenceTypeId code, bytes32 metadataDigest) external;

    /// @notice Name another description of a type.
    function changeMetadata(LicenceTypeId code, bytes32 metadataDigest) external;

    /// @notice Take a type out of use for ever. From now on nobody is accredited for it; its history stays.
    function withdrawType(LicenceTypeId code, bytes32 reasonDigest) external;

    /// @notice A type's entry, withdrawn or not. Reverts for a code never defined.
    function licenceType(LicenceTypeId code) external view returns (LicenceType memory);

    function licenceTypeCount() external view returns (uint256);

    /// @notice Types [from, from + count) in order of definition, at most 200.
    function licenceTypes(uint256 from, uint256 count)
        external
        view
        returns (LicenceTypeId[] memory codes, LicenceType[] memory items);

    // --- accreditation ------------------------------------------------------------------------------------------------

    /// @notice Let a member issue licences of a type. Its spans do not overlap: the next begins when the last has ended or
    /// later, so an open one is ended first.
    /// @param member Active member
    /// @param validFrom Seconds, not before now; 0 is now
    /// @param validUntil Seconds, after validFrom, within 36,500 days; 0 is open
    /// @param basisDigest Digest of the decision, not zero
    /// @return number The member's spans of this type count from 1
    function accredit(LicenceTypeId code, MemberId member, uint64 validFrom, uint64 validUntil, bytes32 basisDigest)
        external
        returns (uint256 number);

    /// @notice Shorten or end a span, by who decides on the type or any supervisor. An end moves earlier only, and not into
    /// the past; also after the type was withdrawn.
    /// @param number Span, from 1
    /// @param validUntil Seconds; 0 is now. A span that has not begun ends where it begins: it is empty for ever.
    /// @param reasonDigest Digest of the reason, not zero
    function endAccreditation(
        LicenceTypeId code,
        MemberId member,
        uint256 number,
        uint64 validUntil,
        bytes32 reasonDigest
    ) external;

    /// @notice Whether a member may issue licences of a type at a time, as entered up to now: a span covers it, and the type
    /// is defined and not withdrawn then. For a time not after now the answer never changes.
    function accreditedAt(LicenceTypeId code, MemberId member, uint64 time) external view returns (bool);

    /// @notice Every member ever accredited for a type, in order of the first time: [from, from + count), at most 200.
    function issuersOf(LicenceTypeId code, uint256 from, uint256 count) external view returns (MemberId[] memory ids);

    /// @notice Number of spans of a member for a type.
    function accreditationCount(LicenceTypeId code, MemberId member) external view returns (uint256);

    /// @notice Spans [from, from + count) of a member for a type in order of time, at most 200; number 1 stands at 0.
    function accreditations(LicenceTypeId code, MemberId member, uint256 from, uint256 count)
        external
        view
        returns (Accreditation[] memory);

    // --- status lists -------------------------------------------------------------------------------------------------

    /// @notice Record the next version of one of the sender's status lists. A list belongs to its issuer alone and may carry
    /// licences of all its types; `code` names a type for which the sender is accredited now. A list keeps its uri and its
    /// bits for ever, and never shrinks. Unchanged bits are not recorded again.
    /// @param number The sender's lists count from 1, without gaps
    /// @param version Versions of a list count from 1, without gaps
    /// @param uriDigest SHA-256 of the list's uri as licences name it, not zero
    /// @param listDigest SHA-256 of the inflated list, not zero, other than that of the version before
    /// @param tokenDigest SHA-256 of the signed token, not zero
    /// @param inflatedBytes 1 to 16,777,216
    /// @param bits 1, 2, 4 or 8
    function recordList(
        LicenceTypeId code,
        uint32 number,
        uint32 version,
        bytes32 uriDigest,
        bytes32 listDigest,
        bytes32 tokenDigest,
        uint32 inflatedBytes,
        uint8 bits
    ) external;

    /// @notice Number of status lists of a member.
    function listCount(MemberId issuer) external view returns (uint32);

    /// @notice The uri's digest, the number of the newest version, and that version. Reverts for a list never recorded.
    function listHead(MemberId issuer, uint32 number)
        external
        view
        returns (bytes32 uriDigest, uint32 version, ListVersion memory head);

    /// @notice Versions [from, from + count) of a list, at most 200; version 1 stands at 0.
    function listVersions(MemberId issuer, uint32 number, uint256 from, uint256 count)
        external
        view
        returns (ListVersion[] memory);
}
