// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ConsortiumValidators} from "./ConsortiumValidators.sol";
import {IConsortium} from "./IConsortium.sol";
import {
    KEY_ACCOUNT, KEY_ACTIVE, KEY_COMPROMISED, KEY_CONSENSUS, KEY_ISSUER, KEY_RETIRED, MemberId, NO_MEMBER
} from "./Types.sol";

/// @title Keys of members: entered, rotated, ended
abstract contract ConsortiumKeys is ConsortiumValidators {
    /// Ending a member ends all its active keys in one transaction: their number is bounded.
    uint256 private constant MAX_ACTIVE_KEYS = 32;
    uint256 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;
    bytes32 private constant DOMAIN_TYPE =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant ACCOUNT_KEY_TYPE = keccak256("AccountKey(bytes32 member,address account)");

    /// @inheritdoc IConsortium
    function rotateKey(
        uint8 role,
        bytes32 material,
        uint64 validFrom,
        uint64 validTo,
        bytes32 replaces,
        bytes calldata possession
    ) external {
        MemberId id = _activeMember(msg.sender);
        if (role == KEY_ACCOUNT || role == KEY_CONSENSUS) {
            // The state machine acts on these by state, not by time: they hold from now on, without end.
            if (validFrom != 0 || validTo != 0) revert Consortium__WrongKeyTimes(validFrom, validTo);
            bytes32 active = _activeKeyOf(id, role);
            if (active != replaces) revert Consortium__MustReplace(role, active);
        }
        if (replaces != 0) {
            Key storage old = _ownActiveKey(id, replaces);
            if (old.role != role) revert Consortium__WrongKeyRole(replaces, role, old.role);
        }
        if (role == KEY_ACCOUNT) {
            _replaceAccount(id, _toAccount(material), possession);
            return;
        }
        if (replaces != 0) _endActiveKey(id, replaces, KEY_RETIRED, uint64(block.timestamp));
        _addKey(id, role, material, validFrom, validTo);
        if (role == KEY_CONSENSUS && _members[id].validator) _exchangeKey(id, replaces, material);
    }

    /// @inheritdoc IConsortium
    function endKey(bytes32 material, bool compromised, uint64 since) external {
        MemberId id = _activeMember(msg.sender);
        MemberId owner = _knownKey(material).member;
        if (owner != id) revert Consortium__NotOwnKey(material, owner);
        _endKey(material, compromised, since);
    }

    /// @inheritdoc IConsortium
    function accountKeyDigest(MemberId id, address account) public view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(DOMAIN_TYPE, keccak256("civicledger"), keccak256("1"), block.chainid, address(this))
        );
        return keccak256(abi.encodePacked(hex"1901", domain, keccak256(abi.encode(ACCOUNT_KEY_TYPE, id, account))));
    }

    function _addKey(MemberId id, uint8 role, bytes32 material, uint64 validFrom, uint64 validTo) internal {
        if (role < KEY_ACCOUNT || role > KEY_ISSUER || material == 0) revert Consortium__MalformedKey(role, material);
        Key storage entry = _keys[material];
        // One material has one role of one member for ever: a key that ended never comes back.
        if (entry.status != 0) revert Consortium__KeyKnown(material, entry.member, entry.role);
        if (_activeKeys[id].length == MAX_ACTIVE_KEYS) revert Consortium__TooManyKeys(id, MAX_ACTIVE_KEYS);
        uint64 time = uint64(block.timestamp);
        if (validFrom == 0) validFrom = time;
        if (validFrom < time || (validTo != 0 && validTo <= validFrom)) {
            revert Consortium__WrongKeyTimes(validFrom, validTo);
        }
        _keys[material] = Key(id, role, KEY_ACTIVE, validFrom, validTo, 0);
        _keysOf[id].push(material);
        _activeKeys[id].push(material);
        emit KeyAdded(id, material, role, validFrom, validTo);
    }

    /// Enter an address as the account of a member; it must speak for nobody.
    function _addAccount(MemberId id, address account) internal {
        if (account == address(0)) revert Consortium__MalformedAccount(account);
        MemberId holder = _memberOf[account];
        if (holder != NO_MEMBER) revert Consortium__AccountInUse(account, holder);
        _addKey(id, KEY_ACCOUNT, _toMaterial(account), 0, 0);
        _memberOf[account] = id;
        _members[id].account = account;
    }

    function _replaceAccount(MemberId id, address account, bytes memory possession) internal {
        _checkPossession(id, account, possession);
        address previous = _members[id].account;
        _endActiveKey(id, _toMaterial(previous), KEY_RETIRED, uint64(block.timestamp));
        _addAccount(id, account);
        emit AccountReplaced(id, previous, account);
    }

    /// The holder of the new account key signed AccountKey(member, account): nobody enters an address it does not hold.
    function _checkPossession(MemberId id, address account, bytes memory possession) internal view {
        address signer = address(0);
        if (possession.length == 65) {
            bytes32 r;
            bytes32 s;
            uint8 v;
            assembly ("memory-safe") {
                r := mload(add(possession, 0x20))
                s := mload(add(possession, 0x40))
                v := byte(0, mload(add(possession, 0x60)))
            }
            // EIP-2: the high half of s is a second form of the same signature.
            if (uint256(s) <= HALF_ORDER) signer = ecrecover(accountKeyDigest(id, account), v, r, s);
        }
        if (signer == address(0) || signer != account) revert Consortium__NoPossession(account, signer);
    }

    function _endKey(bytes32 material, bool compromised, uint64 since) internal {
        Key storage entry = _knownKey(material);
        if (!compromised) {
            if (since != 0) revert Consortium__WrongEnd(since, 0);
            if (entry.status != KEY_ACTIVE) revert Consortium__KeyEnded(material, entry.status);
            since = uint64(block.timestamp);
        } else {
            // A key's end moves earlier only: whoever trusted it up to then need not look again.
            uint64 latest = entry.status == KEY_ACTIVE ? uint64(block.timestamp) : entry.endedAt;
            if (since == 0 || since > latest || (since == latest && entry.status == KEY_COMPROMISED)) {
                revert Consortium__WrongEnd(since, latest);
            }
        }
        uint8 status = compromised ? KEY_COMPROMISED : KEY_RETIRED;
        if (entry.status == KEY_ACTIVE) {
            bool serves = entry.role == KEY_ACCOUNT || (entry.role == KEY_CONSENSUS && _members[entry.member].validator);
            if (serves) revert Consortium__KeyInService(material, entry.role);
            _endActiveKey(entry.member, material, status, since);
        } else {
            entry.status = status;
            entry.endedAt = since;
            emit KeyEnded(entry.member, material, entry.role, status, since);
        }
    }

    /// End every active key of a member that leaves, its account included.
    function _endAllKeys(MemberId id) internal {
        bytes32[] storage active = _activeKeys[id];
        while (active.length != 0) {
            _endActiveKey(id, active[active.length - 1], KEY_RETIRED, uint64(block.timestamp));
        }
    }

    function _knownKey(bytes32 material) internal view returns (Key storage entry) {
        entry = _keys[material];
        if (entry.status == 0) revert Consortium__UnknownKey(material);
    }

    function _endActiveKey(MemberId id, bytes32 material, uint8 status, uint64 endedAt) private {
        Key storage entry = _keys[material];
        entry.status = status;
        entry.endedAt = endedAt;
        if (entry.role == KEY_ACCOUNT) _memberOf[_toAccount(material)] = NO_MEMBER;
        bytes32[] storage active = _activeKeys[id];
        uint256 last = active.length - 1;
        for (uint256 i = 0; i < last; ++i) {
            if (active[i] == material) {
                active[i] = active[last];
                break;
            }
        }
        active.pop();
        emit KeyEnded(id, material, entry.role, status, endedAt);
    }

    function _ownActiveKey(MemberId id, bytes32 material) private view returns (Key storage entry) {
        entry = _knownKey(material);
        if (entry.member != id) revert Consortium__NotOwnKey(material, entry.member);
        if (entry.status != KEY_ACTIVE) revert Consortium__KeyEnded(material, entry.status);
    }

    function _toMaterial(address account) internal pure returns (bytes32) {
        return bytes32(uint256(uint160(account)));
    }

    function _toAccount(bytes32 material) private pure returns (address) {
        if (uint256(material) > type(uint160).max) revert Consortium__MalformedKey(KEY_ACCOUNT, material);
        return address(uint160(uint256(material)));
    }
}
