// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MemberId} from "./Types.sol";

/// @title The members of a city's ledger, their keys, their votes
/// @notice What must hold for everybody: who is a member, which keys speak for it from when to when, who validates, which
/// code may be deployed and which contracts are in force. Everything but a member's own keys changes by vote only:
/// 3 x yes > 2 x active members, counted when the proposal is executed, without the target.
/// The storage of slots 0 to 6 is frozen (contracts/storageLayout.json): the state machine and offline verifiers read it.
interface IConsortium {
    /// @param role 1 account, 2 consensus, 3 sequencer, 4 p2p, 5 tls, 6 log, 7 witness, 8 receipt, 9 issuer
    /// @param material Ed25519 public key (2, 3, 4, 6, 7, 8), SHA-256 of the SPKI (5, 9) or the address, left-padded (1)
    struct KeyInit {
        uint8 role;
        bytes32 material;
    }

    /// @param id Member id
    /// @param handle Short name in [a-z0-9-], part of the origin of its log; with the region unique for ever
    /// @param region GB/T 2260 code as a number, 100000 to 999999
    /// @param roles Bits: 1 supervisor, 2 auditor, 4 quality, 8 health, 16 hospital
    /// @param account Address of the account key; it is entered among the keys by itself and must not stand in `keys`
    /// @param validator True: its consensus key is in the validator set
    /// @param keys The other keys, at most 31
    struct Founder {
        MemberId id;
        bytes32 handle;
        uint32 region;
        uint32 roles;
        address account;
        bool validator;
        KeyInit[] keys;
    }

    struct Member {
        uint8 status; // 1 active, 2 suspended, 3 removed
        uint32 roles;
        uint32 region;
        uint16 logGeneration; // from 1; each retired log begins the next
        uint64 since; // seconds: admitted (again)
        bool validator;
        bytes32 handle;
        address account;
    }

    struct Key {
        MemberId member;
        uint8 role;
        uint8 status; // 1 active, 2 retired, 3 compromised
        uint64 validFrom; // seconds
        uint64 validTo; // seconds, 0 open
        uint64 endedAt; // seconds: 0 while active; retired since, or compromised since
    }

    struct Version {
        uint32 version;
        uint64 height;
    }

    /// @param state 1 open, 2 executed, 3 expired
    /// @param yes Yes votes that count now (voter active, not the target)
    /// @param no No votes that count now
    /// @param electorate Active members that count now (without the target)
    struct Proposal {
        MemberId proposer;
        MemberId target;
        uint64 createdAt;
        uint64 expiry;
        uint8 kind;
        uint8 state;
        uint32 yes;
        uint32 no;
        uint32 electorate;
        bytes data;
    }

    event MemberAdmitted(
        MemberId indexed id, bytes32 indexed handle, uint32 region, uint32 roles, address account, bool validator
    );
    event MemberSuspended(MemberId indexed id);
    event MemberReinstated(MemberId indexed id);
    event MemberRemoved(MemberId indexed id);
    event RolesChanged(MemberId indexed id, uint32 previous, uint32 roles);
    event ValidatorChanged(MemberId indexed id, bytes32 indexed consensusKey, bool validator);
    event AccountReplaced(MemberId indexed id, address indexed previous, address indexed account);
    event LogRetired(MemberId indexed id, uint16 generation, uint16 next);
    event KeyAdded(
        MemberId indexed id, bytes32 indexed material, uint8 role, uint64 validFrom, uint64 validTo
    );
    event KeyEnded(MemberId indexed id, bytes32 indexed material, uint8 role, uint8 status, uint64 endedAt);
    event CodeAdopted(bytes32 indexed codeHash, bool adopted);
    event ContractReplaced(bytes32 indexed name, address previous, address current, bytes32 codeHash);
    event VersionActivated(uint32 version, uint64 height);
    event Proposed(
        uint256 indexed proposalId, MemberId indexed proposer, MemberId indexed target, uint8 kind, uint64 expiry, bytes data
    );
    event Voted(uint256 indexed proposalId, MemberId indexed voter, bool yes);
    event Executed(uint256 indexed proposalId, uint8 indexed kind, uint256 yes, uint256 electorate);

    /// The sender is not the account of an active member.
    error Consortium__NotActiveMember(address account);
    /// The calling contract is not the one in force under that name.
    error Consortium__NotCurrentContract(bytes32 name, address caller, address current);
    error Consortium__UnknownMember(MemberId id);
    error Consortium__WrongStatus(MemberId id, uint8 status);
    error Consortium__MemberExists(MemberId id);
    error Consortium__MalformedId(MemberId id);
    error Consortium__MalformedHandle(bytes32 handle);
    error Consortium__HandleTaken(uint32 region, bytes32 handle, MemberId by);
    error Consortium__MalformedRegion(uint32 region);
    error Consortium__MalformedRoles(uint32 roles);
    /// A body that was removed comes back under its old region and handle only: its log's origin holds both.
    error Consortium__OriginChanged(MemberId id);
    error Consortium__AccountInUse(address account, MemberId by);
    error Consortium__MalformedAccount(address account);
    /// The signature by the new account over AccountKey(member, account) is missing or by somebody else.
    error Consortium__NoPossession(address account, address signer);
    error Consortium__MalformedKey(uint8 role, bytes32 material);
    error Consortium__KeyKnown(bytes32 material, MemberId by, uint8 role);
    error Consortium__UnknownKey(bytes32 material);
    error Consortium__NotOwnKey(bytes32 material, MemberId owner);
    error Consortium__KeyEnded(bytes32 material, uint8 status);
    error Consortium__TooManyKeys(MemberId id, uint256 limit);
    error Consortium__WrongKeyTimes(uint64 validFrom, uint64 validTo);
    /// This role has one active key at a time: `active` must be the key replaced.
    error Consortium__MustReplace(uint8 role, bytes32 active);
    error Consortium__WrongKeyRole(bytes32 material, uint8 expected, uint8 actual);
    /// An account key, or a validator's consensus key, ends only by being replaced.
    error Consortium__KeyInService(bytes32 material, uint8 role);
    /// A key's end may move earlier, never later or into the future.
    error Consortium__WrongEnd(uint64 since, uint64 latest);
    error Consortium__NoConsensusKey(MemberId id);
    error Consortium__ValidatorUnchanged(MemberId id, bool validator);
    error Consortium__TooFewValidators(uint256 left, uint256 minimum);
    error Consortium__SetMovesTooFast(uint256 removed, uint256 added, uint256 setBefore, uint256 windowBlocks);
    error Consortium__RotatedRecently(MemberId id, uint256 atHeight, uint256 windowBlocks);
    error Consortium__NotReplaceable(bytes32 name);
    error Consortium__WrongCode(address account, bytes32 expected, bytes32 actual);
    error Consortium__WasInForce(address account);
    error Consortium__MalformedName(bytes32 name);
    error Consortium__NameTaken(bytes32 name);
    error Consortium__LengthsDiffer(uint256 names, uint256 contracts);
    error Consortium__NoFounders();
    error Consortium__NothingToChange();
    error Consortium__WrongVersion(uint32 version, uint32 current);
    error Consortium__WrongHeight(uint64 height, uint256 earliest);
    error Consortium__UnknownKind(uint8 kind);
    error Consortium__MalformedProposal(uint8 kind, uint256 length);
    error Consortium__WrongExpiry(uint64 expiry, uint64 earliest, uint64 latest);
    error Consortium__UnknownProposal(uint256 proposalId);
    error Consortium__ProposalClosed(uint256 proposalId, uint8 state);
    error Consortium__AlreadyVoted(uint256 proposalId, MemberId voter);
    error Consortium__TargetMayNotVote(uint256 proposalId, MemberId voter);
    error Consortium__NotCarried(uint256 proposalId, uint256 yes, uint256 electorate);

    // --- reading ------------------------------------------------------------------------------------------------------

    /// @notice The member whose account this is (also while it is suspended), or zero.
    function memberOf(address account) external view returns (MemberId id);

    /// @notice A member's present entry. Reverts for a body never admitted.
    function member(MemberId id) external view returns (Member memory);

    /// @notice Every body ever admitted, in order of admission.
    function members() external view returns (MemberId[] memory ids);

    function activeCount() external view returns (uint256);

    function isActive(MemberId id) external view returns (bool);

    /// @notice True when the member is active and has all the given role bits.
    function hasRole(MemberId id, uint32 roles) external view returns (bool);

    /// @notice A key's entry, ended or not. Reverts for a material never entered.
    function key(bytes32 material) external view returns (Key memory);

    /// @notice Every key a member ever had, in order of entry.
    function keysOf(MemberId id) external view returns (bytes32[] memory materials, Key[] memory keys);

    /// @notice The keys of a member that have not ended.
    function activeKeysOf(MemberId id) external view returns (bytes32[] memory materials);

    /// @notice The validator set: members and their consensus keys.
    function validators() external view returns (MemberId[] memory ids, bytes32[] memory consensusKeys);

    /// @notice The contract in force under a name ("Directory"), or zero; "Consortium" is this contract.
    function contractOf(bytes32 name) external view returns (address);

    /// @notice The contract that was in force before `current` under the same name, or zero.
    function predecessorOf(address current) external view returns (address);

    /// @notice True when members may CREATE from this init code hash (with constructor arguments).
    function adopted(bytes32 codeHash) external view returns (bool);

    function activeVersion() external view returns (Version memory);

    /// @notice The active member behind an account, for a contract in force under `name`, which is the caller.
    /// Reverts with Consortium__NotActiveMember or Consortium__NotCurrentContract: the one check of every change.
    function authorise(address account, bytes32 name) external view returns (MemberId id);

    /// @notice The digest the holder of a new account key signs (EIP-712: AccountKey(bytes32 member,address account) in the
    /// domain {name "civicledger", version "1", chain id, this contract}).
    function accountKeyDigest(MemberId id, address account) external view returns (bytes32);

    function proposalCount() external view returns (uint256);

    /// @notice One proposal with the votes that count now.
    function proposal(uint256 proposalId) external view returns (Proposal memory);

    /// @notice Proposals [from, from + count), at most 200; ids begin with 1, so from = 0 gives id 1 first.
    function proposals(uint256 from, uint256 count) external view returns (Proposal[] memory);

    /// @notice Every vote cast on a proposal, in order; whether it counts shows in `proposal`.
    function votes(uint256 proposalId) external view returns (MemberId[] memory voters, bool[] memory yes);

    // --- a member's own keys ------------------------------------------------------------------------------------------

    /// @notice Enter a new key of the sender, and retire the key it replaces (if any) in the same change.
    /// The account key and the consensus key have exactly one active key: `replaces` must name it, and they are valid
    /// from now on without end. An account key proves possession by `possession`, 65 bytes r, s, v over
    /// `accountKeyDigest`. Possession of an Ed25519 or P-256 key cannot be checked here: the member's own account
    /// answers for it, and checkpoints, votes and handshakes prove it in use.
    /// @param role Key role
    /// @param material Key material; a material ever entered, by anybody, in any role, is refused for ever
    /// @param validFrom Seconds, not before now; 0 is now
    /// @param validTo Seconds, after validFrom; 0 is open
    /// @param replaces Key of the same role to retire now, or zero
    /// @param possession Signature by a new account key; else empty
    function rotateKey(
        uint8 role,
        bytes32 material,
        uint64 validFrom,
        uint64 validTo,
        bytes32 replaces,
        bytes calldata possession
    ) external;

    /// @notice End a key of the sender: retired from now on (compromised = false, since = 0), or compromised since a time
    /// not after now. A retired key can be declared compromised later, and the time can move earlier, never later.
    function endKey(bytes32 material, bool compromised, uint64 since) external;

    // --- votes --------------------------------------------------------------------------------------------------------

    /// @notice Put a change to the vote. Proposing is not voting.
    /// @param kind and `data` (abi.encode of): 1 admit (Founder, bytes possession); 2 suspend (member); 3 reinstate (member);
    /// 4 remove (member); 5 set validator (member, bool); 6 replace validator (old, new); 7 set roles (member, uint32);
    /// 8 adopt code (bytes32 init code hash, bool); 9 replace contract (bytes32 name, address, bytes32 runtime code hash);
    /// 10 activate version (uint32, uint64 height); 11 retire log (member); 12 replace account (member, address, bytes
    /// possession); 13 end key (bytes32 material, bool compromised, uint64 since); 14 approve core grant (grant, consumer)
    /// @param expiry Seconds: the last time at which it can be voted on and executed, within 90 days
    /// @return proposalId From 1
    function propose(uint8 kind, bytes calldata data, uint64 expiry) external returns (uint256 proposalId);

    /// @notice Vote once; the target of a proposal has no vote.
    function vote(uint256 proposalId, bool yes) external;

    /// @notice Carry out a proposal that has 3 x yes > 2 x active members now, target not counted.
    function execute(uint256 proposalId) external;
}
