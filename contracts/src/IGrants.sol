// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DatasetId, GrantId, MemberId} from "./Types.sol";

/// @title Permissions to use a dataset, and what was used
/// @notice A grant is active only with every approval its dataset's present level and sharing type need: general: provider
/// (unconditional: none); important: provider and supervisor; core: provider, supervisor and a vote of the consortium.
/// Because the dataset's present state is asked, a regrade upwards suspends grants by itself.
interface IGrants {
    /// @param provider Provider of the dataset
    /// @param purpose Code of the registered list, ASCII left-aligned
    /// @param matter Code of the matter it serves, ASCII left-aligned
    /// @param ceiling Largest number of uses
    /// @param validUntil Seconds: not active from then on
    /// @param deadline Seconds: by when the request is to be answered
    /// @param activeFrom Seconds: since all approvals were there first; 0 before
    /// @param closedAt Seconds: refused or revoked; else 0
    /// @param status 1 requested, 2 granted, 3 refused, 4 revoked
    /// @param approvals Bits: 1 provider, 2 supervisor, 4 consortium
    /// @param reason Code of the refusal or revocation
    /// @param textDigest Digest of the text that explains the reason
    /// @param settled Uses in agreed settlements
    struct Grant {
        DatasetId dataset;
        MemberId provider;
        MemberId consumer;
        bytes32 purpose;
        bytes32 matter;
        bytes32 scopeDigest;
        bytes32 odrlDigest;
        uint64 ceiling;
        uint64 validUntil;
        uint64 deadline;
        uint64 requestedAt;
        uint64 activeFrom;
        uint64 closedAt;
        uint8 status;
        uint8 approvals;
        uint16 reason;
        uint64 settled;
        bytes32 textDigest;
    }

    /// One side's statement for a period.
    struct Claim {
        uint64 count;
        uint64 time; // seconds; 0: none yet
        bytes32 receiptsRoot;
    }

    /// @param agreedAt Seconds: both claims are equal since; 0 until then
    struct Settlement {
        Claim provider;
        Claim consumer;
        uint64 agreedAt;
    }

    event GrantRequested(
        GrantId indexed id,
        DatasetId indexed dataset,
        MemberId indexed consumer,
        MemberId provider,
        bytes32 purpose,
        bytes32 matter,
        bytes32 scopeDigest,
        bytes32 odrlDigest,
        uint64 ceiling,
        uint64 validUntil,
        uint64 deadline
    );
    event GrantApproved(GrantId indexed id, MemberId indexed by, uint8 approvals, bool late);
    event GrantActivated(GrantId indexed id, DatasetId indexed dataset, MemberId indexed consumer);
    event GrantRefused(GrantId indexed id, MemberId indexed by, uint16 reason, bytes32 textDigest, bool late);
    event GrantRevoked(GrantId indexed id, MemberId indexed by, uint16 reason, bytes32 textDigest);
    event SettlementClaimed(
        GrantId indexed id, uint32 indexed period, MemberId indexed by, uint64 count, bytes32 receiptsRoot
    );
    event SettlementAgreed(GrantId indexed id, uint32 indexed period, uint64 count, bytes32 receiptsRoot, uint64 settled);
    event SettlementMismatched(
        GrantId indexed id,
        uint32 indexed period,
        uint64 providerCount,
        uint64 consumerCount,
        bytes32 providerRoot,
        bytes32 consumerRoot
    );
    event CeilingReached(GrantId indexed id, uint64 settled, uint64 ceiling);

    error Grants__UnknownGrant(GrantId id);
    error Grants__Missing(bytes32 field);
    error Grants__DatasetWithdrawn(DatasetId dataset);
    error Grants__DatasetNotShared(DatasetId dataset);
    error Grants__OwnDataset(DatasetId dataset);
    error Grants__WrongDeadline(uint64 deadline, uint64 earliest, uint64 latest);
    error Grants__WrongValidity(uint64 validUntil, uint64 earliest, uint64 latest);
    error Grants__Closed(GrantId id, uint8 status);
    error Grants__Expired(GrantId id, uint64 validUntil);
    error Grants__NotAllowed(GrantId id, MemberId sender);
    error Grants__AlreadyApproved(GrantId id, uint8 approvals);
    /// The approvals before this one are missing (provider, then supervisor, then consortium).
    error Grants__ApprovalMissing(GrantId id, uint8 missing);
    /// The dataset's level needs no such approval.
    error Grants__ApprovalNotNeeded(GrantId id, uint8 approval, uint8 needed);
    error Grants__NotConsortium(address sender);
    error Grants__WrongConsumer(GrantId id, MemberId expected, MemberId actual);
    error Grants__NeverActive(GrantId id);
    error Grants__AlreadySettled(GrantId id, uint32 period);

    /// @notice Ask for the use of a dataset; the sender is the consumer. Unconditional general data is granted at once.
    /// @param dataset Dataset that is shared and not withdrawn, of another member
    /// @param purpose Purpose code, not zero
    /// @param matter Matter code, not zero
    /// @param scopeDigest Digest of fields and rows, not zero
    /// @param odrlDigest Digest of the ODRL agreement, not zero
    /// @param ceiling Largest number of uses, not zero
    /// @param validUntil Seconds, after now, within ten years
    /// @param deadline Seconds, 1 to 90 days ahead
    /// @return id keccak256(abi.encode(chain id, this contract, consumer, counter)), the counter of that consumer from 0
    function request(
        DatasetId dataset,
        bytes32 purpose,
        bytes32 matter,
        bytes32 scopeDigest,
        bytes32 odrlDigest,
        uint64 ceiling,
        uint64 validUntil,
        uint64 deadline
    ) external returns (GrantId id);

    /// @notice Approve in every capacity the sender has and the dataset's level needs: as its provider, then as supervisor.
    /// A supervisor that is the consumer cannot approve its own request. Late approvals are marked, not refused.
    function approve(GrantId id) external;

    /// @notice The consortium's approval of core data: called by the Consortium when a vote is carried.
    function approveByVote(GrantId id, MemberId consumer) external;

    /// @notice Refuse a request: by its provider, or a supervisor where the level needs one.
    /// @param reason Reason code, not zero
    /// @param textDigest Digest of the explanation, not zero
    function refuse(GrantId id, uint16 reason, bytes32 textDigest) external;

    /// @notice Revoke a grant: by its provider, a supervisor or its consumer; a mere request only by its consumer.
    function revoke(GrantId id, uint16 reason, bytes32 textDigest) external;

    /// @notice One side's count and receipts root of a period (YYYYMMDD). Equal statements of both sides settle the period;
    /// unequal ones are an event, and either side may state again until they agree.
    function recordSettlement(GrantId id, uint32 period, uint64 count, bytes32 receiptsRoot) external;

    /// @notice The one question everybody asks, on the present state: may `consumer` use `dataset` for `purpose` at `time`?
    /// @return active The answer
    /// @return why 0 active, 1 unknown grant, 2 other dataset, 3 other consumer, 4 other purpose, 5 requested only, 6 refused,
    /// 7 revoked, 8 expired, 9 suspended (approvals missing for the present level), 10 dataset withdrawn, 11 not shared,
    /// 12 consumer not active, 13 before its activation, 14 provider not active, 15 ceiling reached
    function isActive(GrantId id, DatasetId dataset, MemberId consumer, bytes32 purpose, uint64 time)
        external
        view
        returns (bool active, uint8 why);

    /// @notice Approval bits the dataset needs at present and this grant does not have.
    function missingApprovals(GrantId id) external view returns (uint8 missing);

    /// @notice True when a request has been left unanswered beyond its deadline, at `time`.
    function isOverdue(GrantId id, uint64 time) external view returns (bool);

    function grant(GrantId id) external view returns (Grant memory);

    function grantCount() external view returns (uint256);

    /// @notice Grants [from, from + count) in order of request, at most 200.
    function grants(uint256 from, uint256 count) external view returns (GrantId[] memory ids, Grant[] memory items);

    function settlement(GrantId id, uint32 period) external view returns (Settlement memory);
}
