// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "./IConsortium.sol";
import {MEMBER_ACTIVE, MemberId, NAME_CONSORTIUM, NO_MEMBER} from "./Types.sol";

/// @title The Consortium's state and the questions others ask
/// @notice Slots 0 to 6 are frozen: the state machine reads who may send transactions from them, offline verifiers read keys.
abstract contract ConsortiumStorage is IConsortium {
    mapping(address => MemberId) internal _memberOf; // slot 0: kept while suspended, cleared when the account key ends
    mapping(MemberId => Member) internal _members; // slot 1
    uint256 internal _activeCount; // slot 2
    mapping(bytes32 => Key) internal _keys; // slot 3: by material
    mapping(bytes32 => bool) internal _adopted; // slot 4: keccak256 of full init code members may CREATE
    mapping(bytes32 => address) internal _contracts; // slot 5: by name
    Version internal _activeVersion; // slot 6

    MemberId[] internal _memberIds;
    mapping(MemberId => bytes32[]) internal _keysOf;
    mapping(MemberId => bytes32[]) internal _activeKeys;
    mapping(bytes32 => MemberId) internal _origins; // keccak256(region, handle): part of the name of a log, unique for ever
    mapping(address => address) internal _predecessors;
    mapping(address => bool) internal _wasInForce;

    /// @inheritdoc IConsortium
    function memberOf(address account) external view returns (MemberId) {
        return _memberOf[account];
    }

    /// @inheritdoc IConsortium
    function member(MemberId id) external view returns (Member memory) {
        return _known(id);
    }

    /// @inheritdoc IConsortium
    function members() external view returns (MemberId[] memory) {
        return _memberIds;
    }

    /// @inheritdoc IConsortium
    function activeCount() external view returns (uint256) {
        return _activeCount;
    }

    /// @inheritdoc IConsortium
    function isActive(MemberId id) external view returns (bool) {
        return _isActive(id);
    }

    /// @inheritdoc IConsortium
    function hasRole(MemberId id, uint32 roles) external view returns (bool) {
        return _isActive(id) && _members[id].roles & roles == roles;
    }

    /// @inheritdoc IConsortium
    function key(bytes32 material) external view returns (Key memory entry) {
        entry = _keys[material];
        if (entry.status == 0) revert Consortium__UnknownKey(material);
    }

    /// @inheritdoc IConsortium
    function keysOf(MemberId id) external view returns (bytes32[] memory materials, Key[] memory entries) {
        materials = _keysOf[id];
        entries = new Key[](materials.length);
        for (uint256 i = 0; i < materials.length; ++i) {
            entries[i] = _keys[materials[i]];
        }
    }

    /// @inheritdoc IConsortium
    function activeKeysOf(MemberId id) external view returns (bytes32[] memory) {
        return _activeKeys[id];
    }

    /// @inheritdoc IConsortium
    function contractOf(bytes32 name) public view returns (address) {
        return name == NAME_CONSORTIUM ? address(this) : _contracts[name];
    }

    /// @inheritdoc IConsortium
    function predecessorOf(address current) external view returns (address) {
        return _predecessors[current];
    }

    /// @inheritdoc IConsortium
    function adopted(bytes32 codeHash) external view returns (bool) {
        return _adopted[codeHash];
    }

    /// @inheritdoc IConsortium
    function activeVersion() external view returns (Version memory) {
        return _activeVersion;
    }

    /// @inheritdoc IConsortium
    function authorise(address account, bytes32 name) external view returns (MemberId id) {
        id = _activeMember(account);
        address current = contractOf(name);
        if (msg.sender != current) revert Consortium__NotCurrentContract(name, msg.sender, current);
    }

    function _activeMember(address account) internal view returns (MemberId id) {
        id = _memberOf[account];
        if (id == NO_MEMBER || !_isActive(id)) revert Consortium__NotActiveMember(account);
    }

    function _isActive(MemberId id) internal view returns (bool) {
        return _members[id].status == MEMBER_ACTIVE;
    }

    function _known(MemberId id) internal view returns (Member storage entry) {
        entry = _members[id];
        if (entry.status == 0) revert Consortium__UnknownMember(id);
    }

    /// The entry of a member that has this status.
    function _inStatus(MemberId id, uint8 status) internal view returns (Member storage entry) {
        entry = _known(id);
        if (entry.status != status) revert Consortium__WrongStatus(id, entry.status);
    }
}
