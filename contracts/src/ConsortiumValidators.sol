// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ConsortiumStorage} from "./ConsortiumStorage.sol";
import {IConsortium} from "./IConsortium.sol";
import {KEY_CONSENSUS, MEMBER_ACTIVE, MemberId} from "./Types.sol";

/// @title The validator set and the two rules that keep it safe
/// @notice Once there were four validators there are never fewer, and the set moves by at most a third of what it was 100
/// blocks ago: a light client that trusts the old set can always follow. The set is one of keys: a validator that
/// rotates its consensus key moves it like one that is exchanged.
abstract contract ConsortiumValidators is ConsortiumStorage {
    uint256 internal constant WINDOW = 100;
    uint256 private constant MINIMUM = 4;

    struct SetChange {
        bytes32 key;
        uint64 height;
        bool entered;
    }

    mapping(bytes32 => bool) private _inSet;
    uint256 private _setSize;
    bool private _hadMinimum;
    SetChange[] private _setChanges;
    mapping(MemberId => uint256) private _rotatedAt;

    /// @inheritdoc IConsortium
    function validators() external view returns (MemberId[] memory ids, bytes32[] memory consensusKeys) {
        ids = new MemberId[](_setSize);
        consensusKeys = new bytes32[](_setSize);
        uint256 next = 0;
        for (uint256 i = 0; i < _memberIds.length; ++i) {
            MemberId id = _memberIds[i];
            if (!_members[id].validator) continue;
            ids[next] = id;
            consensusKeys[next++] = _activeKeyOf(id, KEY_CONSENSUS);
        }
    }

    /// Founders enter without a journal entry: the set of genesis is what it was before the first change.
    function _foundValidator(MemberId id) internal {
        _enter(id, _consensusKeyOf(id));
        _hadMinimum = _setSize >= MINIMUM;
    }

    function _setValidator(MemberId id, bool validator) internal {
        Member storage entry = _inStatus(id, MEMBER_ACTIVE);
        if (entry.validator == validator) revert Consortium__ValidatorUnchanged(id, validator);
        if (validator) {
            bytes32 material = _consensusKeyOf(id);
            _enter(id, material);
            _journal(material, true);
        } else {
            _leave(id);
        }
        _checkSet();
    }

    /// Both at once, so that a dead validator of four can be exchanged.
    function _replaceValidator(MemberId previous, MemberId next) internal {
        Member storage entering = _inStatus(next, MEMBER_ACTIVE);
        if (entering.validator) revert Consortium__ValidatorUnchanged(next, true);
        if (!_known(previous).validator) revert Consortium__ValidatorUnchanged(previous, false);
        _leave(previous);
        bytes32 material = _consensusKeyOf(next);
        _enter(next, material);
        _journal(material, true);
        _checkSet();
    }

    /// Take a member that is suspended or removed out of the set.
    function _dropValidator(MemberId id) internal {
        if (!_members[id].validator) return;
        _leave(id);
        _checkSet();
    }

    /// A validator's consensus key is rotated: one key leaves, one enters. Once per window, so that the journal of a window
    /// stays as short as the votes make it.
    function _exchangeKey(MemberId id, bytes32 previous, bytes32 next) internal {
        uint256 last = _rotatedAt[id];
        if (last != 0 && last + WINDOW > block.number) revert Consortium__RotatedRecently(id, last, WINDOW);
        _rotatedAt[id] = block.number;
        _inSet[previous] = false;
        _inSet[next] = true;
        _journal(previous, false);
        _journal(next, true);
        emit ValidatorChanged(id, previous, false);
        emit ValidatorChanged(id, next, true);
        _checkSet();
    }

    function _activeKeyOf(MemberId id, uint8 role) internal view returns (bytes32) {
        bytes32[] storage active = _activeKeys[id];
        for (uint256 i = 0; i < active.length; ++i) {
            if (_keys[active[i]].role == role) return active[i];
        }
        return 0;
    }

    function _consensusKeyOf(MemberId id) private view returns (bytes32 material) {
        material = _activeKeyOf(id, KEY_CONSENSUS);
        if (material == 0) revert Consortium__NoConsensusKey(id);
    }

    function _enter(MemberId id, bytes32 material) private {
        _members[id].validator = true;
        _inSet[material] = true;
        ++_setSize;
        emit ValidatorChanged(id, material, true);
    }

    function _leave(MemberId id) private {
        bytes32 material = _consensusKeyOf(id);
        _members[id].validator = false;
        _inSet[material] = false;
        --_setSize;
        _journal(material, false);
        emit ValidatorChanged(id, material, false);
    }

    function _journal(bytes32 material, bool entered) private {
        _setChanges.push(SetChange(material, uint64(block.number), entered));
    }

    /// Compare the set as it is now with the set as it was WINDOW blocks ago. Below four validators there is no fault
    /// tolerance to protect: a city grows from one node to four freely, and is held to both rules from then on.
    function _checkSet() private {
        if (!_hadMinimum) {
            _hadMinimum = _setSize >= MINIMUM;
            return;
        }
        if (_setSize < MINIMUM) revert Consortium__TooFewValidators(_setSize, MINIMUM);
        uint256 length = _setChanges.length;
        uint256 begin = length;
        while (begin != 0 && _setChanges[begin - 1].height + WINDOW > block.number) --begin;
        uint256 left = 0;
        uint256 added = 0;
        for (uint256 i = begin; i < length; ++i) {
            SetChange memory change = _setChanges[i];
            if (!_firstOfKey(begin, i, change.key)) continue;
            // The first change of a key in the window tells whether it was in the set before.
            bool now_ = _inSet[change.key];
            if (!change.entered && !now_) ++left;
            if (change.entered && now_) ++added;
        }
        uint256 before = _setSize + left - added;
        if (3 * left > before || 3 * added > before) {
            revert Consortium__SetMovesTooFast(left, added, before, WINDOW);
        }
    }

    function _firstOfKey(uint256 begin, uint256 index, bytes32 material) private view returns (bool) {
        for (uint256 i = begin; i < index; ++i) {
            if (_setChanges[i].key == material) return false;
        }
        return true;
    }
}
