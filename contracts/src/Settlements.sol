// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Consorted} from "./Consorted.sol";
import {IGrants} from "./IGrants.sol";
import {GrantId, MemberId, NAME_GRANTS, NO_MEMBER} from "./Types.sol";

/// @title The reconciliation half of Grants
/// @notice Both sides state, per grant and period, how often it was used and the root of the receipts.
abstract contract Settlements is IGrants, Consorted {
    mapping(GrantId => Grant) internal _grants;
    mapping(GrantId => mapping(uint32 => Settlement)) private _settlements;

    /// @inheritdoc IGrants
    function recordSettlement(GrantId id, uint32 period, uint64 count, bytes32 receiptsRoot) external {
        MemberId sender = _actor();
        Grant storage item = _existing(id);
        if (sender != item.provider && sender != item.consumer) revert Grants__NotAllowed(id, sender);
        if (item.activeFrom == 0) revert Grants__NeverActive(id);
        if (period == 0) revert Grants__Missing("period");
        if (count != 0 && receiptsRoot == 0) revert Grants__Missing("receiptsRoot");
        Settlement storage entry = _settlements[id][period];
        if (entry.agreedAt != 0) revert Grants__AlreadySettled(id, period);

        Claim memory claim = Claim(count, uint64(block.timestamp), receiptsRoot);
        Claim memory other;
        if (sender == item.provider) {
            entry.provider = claim;
            other = entry.consumer;
        } else {
            entry.consumer = claim;
            other = entry.provider;
        }
        emit SettlementClaimed(id, period, sender, count, receiptsRoot);
        if (other.time == 0) return;
        if (other.count == count && other.receiptsRoot == receiptsRoot) {
            entry.agreedAt = uint64(block.timestamp);
            _settle(id, item, period, claim);
        } else {
            Claim memory p = entry.provider;
            Claim memory c = entry.consumer;
            emit SettlementMismatched(id, period, p.count, c.count, p.receiptsRoot, c.receiptsRoot);
        }
    }

    /// @inheritdoc IGrants
    function settlement(GrantId id, uint32 period) external view returns (Settlement memory) {
        _existing(id);
        return _settlements[id][period];
    }

    /// What was used was used: the sum may pass the ceiling (it says so) and the grant then is active no more.
    function _settle(GrantId id, Grant storage item, uint32 period, Claim memory claim) private {
        uint256 sum = uint256(item.settled) + claim.count;
        uint64 settled = sum > type(uint64).max ? type(uint64).max : uint64(sum);
        bool reached = item.settled < item.ceiling && settled >= item.ceiling;
        item.settled = settled;
        emit SettlementAgreed(id, period, claim.count, claim.receiptsRoot, settled);
        if (reached) emit CeilingReached(id, settled, item.ceiling);
    }

    function _existing(GrantId id) internal view returns (Grant storage item) {
        item = _grants[id];
        if (item.consumer == NO_MEMBER) revert Grants__UnknownGrant(id);
    }

    function _name() internal pure override returns (bytes32) {
        return NAME_GRANTS;
    }
}
