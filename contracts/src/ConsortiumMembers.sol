// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ConsortiumKeys} from "./ConsortiumKeys.sol";
import {KEY_ACCOUNT, MEMBER_ACTIVE, MEMBER_REMOVED, MEMBER_SUSPENDED, MemberId, NO_MEMBER, ROLES_ALL} from "./Types.sol";

/// @title Members: admitted, suspended, reinstated, removed
abstract contract ConsortiumMembers is ConsortiumKeys {
    uint256 private constant ID_LENGTH = 18;

    /// Enter a body with its keys. A body that was removed comes back with new keys, under its old origin, and its log goes
    /// on from where it was anchored.
    function _admit(Founder memory body) internal {
        Member storage entry = _members[body.id];
        if (entry.status == MEMBER_ACTIVE || entry.status == MEMBER_SUSPENDED) {
            revert Consortium__MemberExists(body.id);
        }
        _checkBody(body);
        bytes32 origin = keccak256(abi.encode(body.region, body.handle));
        if (entry.status == MEMBER_REMOVED) {
            if (_origins[origin] != body.id) revert Consortium__OriginChanged(body.id);
        } else {
            if (_origins[origin] != NO_MEMBER) {
                revert Consortium__HandleTaken(body.region, body.handle, _origins[origin]);
            }
            _origins[origin] = body.id;
            _memberIds.push(body.id);
            entry.region = body.region;
            entry.handle = body.handle;
            entry.logGeneration = 1;
        }
        entry.status = MEMBER_ACTIVE;
        entry.roles = body.roles;
        entry.since = uint64(block.timestamp);
        ++_activeCount;
        _addAccount(body.id, body.account);
        for (uint256 i = 0; i < body.keys.length; ++i) {
            KeyInit memory init = body.keys[i];
            if (init.role == KEY_ACCOUNT) revert Consortium__MalformedKey(init.role, init.material);
            _addKey(body.id, init.role, init.material, 0, 0);
        }
        emit MemberAdmitted(body.id, body.handle, body.region, body.roles, body.account, body.validator);
    }

    function _suspend(MemberId id) internal {
        Member storage entry = _inStatus(id, MEMBER_ACTIVE);
        _dropValidator(id);
        entry.status = MEMBER_SUSPENDED;
        --_activeCount;
        emit MemberSuspended(id);
    }

    function _reinstate(MemberId id) internal {
        Member storage entry = _inStatus(id, MEMBER_SUSPENDED);
        entry.status = MEMBER_ACTIVE;
        ++_activeCount;
        emit MemberReinstated(id);
    }

    function _remove(MemberId id) internal {
        Member storage entry = _known(id);
        if (entry.status == MEMBER_REMOVED) revert Consortium__WrongStatus(id, entry.status);
        if (entry.status == MEMBER_ACTIVE) {
            _dropValidator(id);
            --_activeCount;
        }
        entry.status = MEMBER_REMOVED;
        _endAllKeys(id);
        emit MemberRemoved(id);
    }

    function _setRoles(MemberId id, uint32 roles) internal {
        Member storage entry = _present(id);
        if (roles > ROLES_ALL) revert Consortium__MalformedRoles(roles);
        uint32 previous = entry.roles;
        if (previous == roles) revert Consortium__NothingToChange();
        entry.roles = roles;
        emit RolesChanged(id, previous, roles);
    }

    function _retireLog(MemberId id) internal {
        Member storage entry = _present(id);
        uint16 generation = entry.logGeneration;
        entry.logGeneration = generation + 1;
        emit LogRetired(id, generation, generation + 1);
    }

    /// The entry of a member that was not removed.
    function _present(MemberId id) internal view returns (Member storage entry) {
        entry = _known(id);
        if (entry.status == MEMBER_REMOVED) revert Consortium__WrongStatus(id, entry.status);
    }

    function _checkBody(Founder memory body) private pure {
        bytes32 id = MemberId.unwrap(body.id);
        for (uint256 i = 0; i < 32; ++i) {
            bytes1 c = id[i];
            bool fits = i < ID_LENGTH ? (c >= "0" && c <= "9") || (c >= "A" && c <= "Z") : c == 0;
            if (!fits) revert Consortium__MalformedId(body.id);
        }
        bool ended = false;
        for (uint256 i = 0; i < 32; ++i) {
            bytes1 c = body.handle[i];
            bool letter = (c >= "0" && c <= "9") || (c >= "a" && c <= "z") || (c == "-" && i != 0);
            if (c == 0 && i != 0) ended = true;
            if (ended ? c != 0 : !letter) revert Consortium__MalformedHandle(body.handle);
        }
        if (body.region < 100000 || body.region > 999999) revert Consortium__MalformedRegion(body.region);
        if (body.roles > ROLES_ALL) revert Consortium__MalformedRoles(body.roles);
    }
}
