// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ConsortiumMembers} from "./ConsortiumMembers.sol";
import {IConsortium} from "./IConsortium.sol";
import {IGrants} from "./IGrants.sol";
import {GrantId, MemberId, NAME_CONSORTIUM, NAME_GRANTS, NO_MEMBER, pageEnd} from "./Types.sol";

/// @title The members, their keys, their votes
/// @notice What each function does is said in IConsortium.
contract Consortium is ConsortiumMembers {
    uint8 private constant ADMIT = 1;
    uint8 private constant SUSPEND = 2;
    uint8 private constant REINSTATE = 3;
    uint8 private constant REMOVE = 4;
    uint8 private constant SET_VALIDATOR = 5;
    uint8 private constant REPLACE_VALIDATOR = 6;
    uint8 private constant SET_ROLES = 7;
    uint8 private constant ADOPT_CODE = 8;
    uint8 private constant REPLACE_CONTRACT = 9;
    uint8 private constant ACTIVATE_VERSION = 10;
    uint8 private constant RETIRE_LOG = 11;
    uint8 private constant REPLACE_ACCOUNT = 12;
    uint8 private constant END_KEY = 13;
    uint8 private constant APPROVE_CORE_GRANT = 14;

    uint8 private constant STATE_OPEN = 1;
    uint8 private constant STATE_EXECUTED = 2;
    uint8 private constant STATE_EXPIRED = 3;

    uint256 private constant MAX_DATA = 4096;
    uint64 private constant LONGEST_PROPOSAL = 90 days;

    struct Ballot {
        MemberId proposer;
        MemberId target;
        uint64 createdAt;
        uint64 expiry;
        uint8 kind;
        bool executed;
        bytes data;
        MemberId[] voters;
        mapping(MemberId => uint8) cast; // 1 no, 2 yes
    }

    mapping(uint256 => Ballot) private _ballots;
    uint256 private _ballotCount;

    /// @param founders The founding members
    /// @param names Names of the other contracts of genesis
    /// @param contracts Their addresses, known before they exist
    /// @param adoptedCode Init code hashes members may CREATE from the first block on
    constructor(
        Founder[] memory founders,
        bytes32[] memory names,
        address[] memory contracts,
        bytes32[] memory adoptedCode
    ) {
        if (founders.length == 0) revert Consortium__NoFounders();
        if (names.length != contracts.length) revert Consortium__LengthsDiffer(names.length, contracts.length);
        for (uint256 i = 0; i < founders.length; ++i) {
            _admit(founders[i]);
            if (founders[i].validator) _foundValidator(founders[i].id);
        }
        for (uint256 i = 0; i < names.length; ++i) {
            if (_contracts[names[i]] != address(0)) revert Consortium__NameTaken(names[i]);
            _setContract(names[i], contracts[i], 0);
        }
        for (uint256 i = 0; i < adoptedCode.length; ++i) {
            _adopt(adoptedCode[i], true);
        }
        _activeVersion = Version(1, 0);
    }

    /// @inheritdoc IConsortium
    function propose(uint8 kind, bytes calldata data, uint64 expiry) external returns (uint256 proposalId) {
        MemberId proposer = _activeMember(msg.sender);
        uint64 time = uint64(block.timestamp);
        if (expiry <= time || expiry > time + LONGEST_PROPOSAL) {
            revert Consortium__WrongExpiry(expiry, time + 1, time + LONGEST_PROPOSAL);
        }
        _checkData(kind, data);
        MemberId target = _targetOf(kind, data);
        proposalId = ++_ballotCount;
        Ballot storage ballot = _ballots[proposalId];
        ballot.proposer = proposer;
        ballot.target = target;
        ballot.createdAt = time;
        ballot.expiry = expiry;
        ballot.kind = kind;
        ballot.data = data;
        emit Proposed(proposalId, proposer, target, kind, expiry, data);
    }

    /// @inheritdoc IConsortium
    function vote(uint256 proposalId, bool yes) external {
        MemberId voter = _activeMember(msg.sender);
        Ballot storage ballot = _openBallot(proposalId);
        if (voter == ballot.target) revert Consortium__TargetMayNotVote(proposalId, voter);
        if (ballot.cast[voter] != 0) revert Consortium__AlreadyVoted(proposalId, voter);
        ballot.cast[voter] = yes ? 2 : 1;
        ballot.voters.push(voter);
        emit Voted(proposalId, voter, yes);
    }

    /// @inheritdoc IConsortium
    function execute(uint256 proposalId) external {
        _activeMember(msg.sender);
        Ballot storage ballot = _openBallot(proposalId);
        (uint256 yes,, uint256 electorate) = _count(ballot);
        if (3 * yes <= 2 * electorate) revert Consortium__NotCarried(proposalId, yes, electorate);
        ballot.executed = true;
        emit Executed(proposalId, ballot.kind, yes, electorate);
        _apply(ballot.kind, ballot.data);
    }

    /// @inheritdoc IConsortium
    function proposalCount() external view returns (uint256) {
        return _ballotCount;
    }

    /// @inheritdoc IConsortium
    function proposal(uint256 proposalId) external view returns (Proposal memory) {
        return _view(_known(proposalId));
    }

    /// @inheritdoc IConsortium
    function proposals(uint256 from, uint256 count) external view returns (Proposal[] memory page) {
        uint256 end = pageEnd(from, count, _ballotCount);
        page = new Proposal[](end - from);
        for (uint256 i = from; i < end; ++i) {
            page[i - from] = _view(_ballots[i + 1]);
        }
    }

    /// @inheritdoc IConsortium
    function votes(uint256 proposalId) external view returns (MemberId[] memory voters, bool[] memory yes) {
        Ballot storage ballot = _known(proposalId);
        voters = ballot.voters;
        yes = new bool[](voters.length);
        for (uint256 i = 0; i < voters.length; ++i) {
            yes[i] = ballot.cast[voters[i]] == 2;
        }
    }

    function _apply(uint8 kind, bytes memory data) private {
        if (kind == ADMIT) {
            (Founder memory body, bytes memory possession) = abi.decode(data, (Founder, bytes));
            _checkPossession(body.id, body.account, possession);
            _admit(body);
            if (body.validator) _setValidator(body.id, true);
        } else if (kind == SUSPEND) {
            _suspend(abi.decode(data, (MemberId)));
        } else if (kind == REINSTATE) {
            _reinstate(abi.decode(data, (MemberId)));
        } else if (kind == REMOVE) {
            _remove(abi.decode(data, (MemberId)));
        } else if (kind == SET_VALIDATOR) {
            (MemberId id, bool validator) = abi.decode(data, (MemberId, bool));
            _setValidator(id, validator);
        } else if (kind == REPLACE_VALIDATOR) {
            (MemberId previous, MemberId next) = abi.decode(data, (MemberId, MemberId));
            _replaceValidator(previous, next);
        } else if (kind == SET_ROLES) {
            (MemberId id, uint32 roles) = abi.decode(data, (MemberId, uint32));
            _setRoles(id, roles);
        } else if (kind == ADOPT_CODE) {
            (bytes32 codeHash, bool adopts) = abi.decode(data, (bytes32, bool));
            _adopt(codeHash, adopts);
        } else if (kind == REPLACE_CONTRACT) {
            (bytes32 name, address next, bytes32 codeHash) = abi.decode(data, (bytes32, address, bytes32));
            _replaceContract(name, next, codeHash);
        } else if (kind == ACTIVATE_VERSION) {
            (uint32 version, uint64 height) = abi.decode(data, (uint32, uint64));
            _activate(version, height);
        } else if (kind == RETIRE_LOG) {
            _retireLog(abi.decode(data, (MemberId)));
        } else if (kind == REPLACE_ACCOUNT) {
            (MemberId id, address account, bytes memory possession) = abi.decode(data, (MemberId, address, bytes));
            _present(id);
            _replaceAccount(id, account, possession);
        } else if (kind == END_KEY) {
            (bytes32 material, bool compromised, uint64 since) = abi.decode(data, (bytes32, bool, uint64));
            _endKey(material, compromised, since);
        } else {
            (GrantId id, MemberId consumer) = abi.decode(data, (GrantId, MemberId));
            IGrants(_contracts[NAME_GRANTS]).approveByVote(id, consumer);
        }
    }

    function _adopt(bytes32 codeHash, bool adopts) private {
        if (_adopted[codeHash] == adopts) revert Consortium__NothingToChange();
        _adopted[codeHash] = adopts;
        emit CodeAdopted(codeHash, adopts);
    }

    function _replaceContract(bytes32 name, address next, bytes32 codeHash) private {
        if (next.code.length == 0 || next.codehash != codeHash) {
            revert Consortium__WrongCode(next, codeHash, next.codehash);
        }
        address previous = _contracts[name];
        // A contract that was in force once does not come back: what it holds is older than its successor's.
        if (_wasInForce[next]) revert Consortium__WasInForce(next);
        if (previous != address(0)) _predecessors[next] = previous;
        _setContract(name, next, codeHash);
    }

    function _setContract(bytes32 name, address next, bytes32 codeHash) private {
        if (name == NAME_CONSORTIUM || next == address(this)) revert Consortium__NotReplaceable(name);
        if (name == 0 || next == address(0)) revert Consortium__MalformedName(name);
        address previous = _contracts[name];
        _contracts[name] = next;
        _wasInForce[next] = true;
        emit ContractReplaced(name, previous, next, codeHash);
    }

    /// Versions grow, and the next is set only after the last is in force: none is skipped by accident.
    function _activate(uint32 version, uint64 height) private {
        Version memory current = _activeVersion;
        if (version <= current.version) revert Consortium__WrongVersion(version, current.version);
        uint256 earliest = (block.number < current.height ? current.height : block.number) + 1;
        if (height < earliest || block.number < current.height) revert Consortium__WrongHeight(height, earliest);
        _activeVersion = Version(version, height);
        emit VersionActivated(version, height);
    }

    /// The data must be exactly what encodes its fields, so that a proposal that is carried can be carried out.
    function _checkData(uint8 kind, bytes calldata data) private pure {
        if (kind < ADMIT || kind > APPROVE_CORE_GRANT) revert Consortium__UnknownKind(kind);
        bool fits;
        if (kind == ADMIT) {
            fits = data.length <= MAX_DATA && data.length >= 16 * 32;
        } else if (kind == REPLACE_ACCOUNT) {
            // Head of three words (the last is the offset of the signature), its length, 65 bytes in three words.
            fits = data.length == 7 * 32 && _word(data, 1) <= type(uint160).max && _word(data, 2) == 96
                && _word(data, 3) == 65;
        } else if (kind == REPLACE_CONTRACT) {
            fits = data.length == 3 * 32 && _word(data, 1) <= type(uint160).max;
        } else if (kind == END_KEY) {
            fits = data.length == 3 * 32 && _word(data, 1) <= 1 && _word(data, 2) <= type(uint64).max;
        } else if (kind <= REMOVE || kind == RETIRE_LOG) {
            fits = data.length == 32;
        } else if (data.length == 2 * 32) {
            fits = (kind != SET_VALIDATOR && kind != ADOPT_CODE) || _word(data, 1) <= 1;
            if (kind == SET_ROLES) fits = _word(data, 1) <= type(uint32).max;
            if (kind == ACTIVATE_VERSION) fits = _word(data, 0) <= type(uint32).max && _word(data, 1) <= type(uint64).max;
        }
        if (!fits) revert Consortium__MalformedProposal(kind, data.length);
    }

    function _word(bytes calldata data, uint256 index) private pure returns (uint256) {
        return uint256(bytes32(data[32 * index:32 * index + 32]));
    }

    /// The member a proposal is about: it has no vote and is not counted. For the exchange of a validator it is the one that
    /// leaves; for a grant the consumer that would get it.
    function _targetOf(uint8 kind, bytes calldata data) private view returns (MemberId target) {
        if (kind == ADMIT) {
            (Founder memory body, bytes memory possession) = abi.decode(data, (Founder, bytes));
            if (keccak256(abi.encode(body, possession)) != keccak256(data)) {
                revert Consortium__MalformedProposal(kind, data.length);
            }
            target = body.id;
        } else if (kind == ADOPT_CODE || kind == REPLACE_CONTRACT || kind == ACTIVATE_VERSION) {
            target = NO_MEMBER;
        } else if (kind == END_KEY) {
            target = _knownKey(bytes32(data[:32])).member;
        } else if (kind == APPROVE_CORE_GRANT) {
            target = MemberId.wrap(bytes32(data[32:64]));
            _known(target);
        } else {
            target = MemberId.wrap(bytes32(data[:32]));
            _known(target);
        }
    }

    /// Votes that count now: of active members. The target has none: `vote` refuses it.
    function _count(Ballot storage ballot) private view returns (uint256 yes, uint256 no, uint256 electorate) {
        electorate = _activeCount;
        if (_isActive(ballot.target)) --electorate;
        MemberId[] storage voters = ballot.voters;
        for (uint256 i = 0; i < voters.length; ++i) {
            MemberId voter = voters[i];
            if (!_isActive(voter)) continue;
            if (ballot.cast[voter] == 2) ++yes;
            else ++no;
        }
    }

    function _view(Ballot storage ballot) private view returns (Proposal memory) {
        (uint256 yes, uint256 no, uint256 electorate) = _count(ballot);
        return Proposal({
            proposer: ballot.proposer,
            target: ballot.target,
            createdAt: ballot.createdAt,
            expiry: ballot.expiry,
            kind: ballot.kind,
            state: _stateOf(ballot),
            yes: uint32(yes),
            no: uint32(no),
            electorate: uint32(electorate),
            data: ballot.data
        });
    }

    function _stateOf(Ballot storage ballot) private view returns (uint8) {
        if (ballot.executed) return STATE_EXECUTED;
        return block.timestamp > ballot.expiry ? STATE_EXPIRED : STATE_OPEN;
    }

    function _known(uint256 proposalId) private view returns (Ballot storage) {
        if (proposalId == 0 || proposalId > _ballotCount) revert Consortium__UnknownProposal(proposalId);
        return _ballots[proposalId];
    }

    function _openBallot(uint256 proposalId) private view returns (Ballot storage ballot) {
        ballot = _known(proposalId);
        uint8 state = _stateOf(ballot);
        if (state != STATE_OPEN) revert Consortium__ProposalClosed(proposalId, state);
    }
}
