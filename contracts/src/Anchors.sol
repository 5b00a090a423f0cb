// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Consorted} from "./Consorted.sol";
import {IAnchors} from "./IAnchors.sol";
import {IConsortium} from "./IConsortium.sol";
import {Rfc6962} from "./Rfc6962.sol";
import {MemberId, NAME_ANCHORS, pageEnd} from "./Types.sol";

/// @title The heads of the departments' logs
/// @notice What each function does is said in IAnchors.
contract Anchors is IAnchors, Consorted {
    uint256 private constant MAX_NOTE = 8192;

    // Slot 0 is frozen: offline verifiers read it by storage proof.
    mapping(MemberId => Anchor) private _anchors;
    mapping(MemberId => mapping(uint16 => Anchor)) private _retired;
    Fork[] private _forks;
    mapping(bytes32 => bool) private _known;

    constructor(address consortium) Consorted(consortium) {}

    /// @inheritdoc IAnchors
    function record(MemberId member, uint64 size, bytes32 root, bytes32 indexRoot, bytes32[] calldata proof) external {
        MemberId sender = _actor();
        if (sender != member) revert Anchors__NotOwnLog(member, sender);
        if (size == 0) revert Anchors__EmptyLog(member);
        uint16 generation = CONSORTIUM.member(member).logGeneration;
        Anchor memory last = anchor(member);
        if (last.generation != generation) {
            // A new generation begins from nothing; the last head of the one before stays readable.
            if (last.generation != 0) _retired[member][last.generation] = last;
            if (proof.length != 0) revert Anchors__ProofFails(member, 0, size);
        } else {
            _checkGrowth(member, last, size, root, indexRoot, proof);
        }
        _anchors[member] = Anchor(root, indexRoot, size, uint64(block.timestamp), generation);
        emit Anchored(member, generation, size, root, indexRoot);
    }

    /// @inheritdoc IAnchors
    function reportFork(MemberId member, bytes calldata noteA, bytes calldata noteB) external returns (bytes32 digest) {
        MemberId reporter = _actor();
        if (noteA.length == 0 || noteB.length == 0 || noteA.length > MAX_NOTE || noteB.length > MAX_NOTE) {
            revert Anchors__MalformedNote(noteA.length, noteB.length);
        }
        // Reverts for a body that was never admitted.
        CONSORTIUM.member(member);
        bytes32 a = keccak256(noteA);
        bytes32 b = keccak256(noteB);
        if (a == b) revert Anchors__SameNote();
        digest = a < b ? keccak256(abi.encode(a, b)) : keccak256(abi.encode(b, a));
        if (_known[digest]) revert Anchors__ForkKnown(digest);
        _known[digest] = true;
        _forks.push(Fork(member, reporter, uint64(block.timestamp), digest));
        emit ForkReported(member, reporter, digest, noteA, noteB);
    }

    /// @inheritdoc IAnchors
    function anchor(MemberId member) public view returns (Anchor memory) {
        Anchor memory own = _anchors[member];
        if (own.generation != 0) return own;
        address predecessor = CONSORTIUM.predecessorOf(address(this));
        return predecessor == address(0) ? own : IAnchors(predecessor).anchor(member);
    }

    /// @inheritdoc IAnchors
    function retired(MemberId member, uint16 generation) external view returns (Anchor memory) {
        Anchor memory own = _retired[member][generation];
        if (own.generation != 0) return own;
        address predecessor = CONSORTIUM.predecessorOf(address(this));
        return predecessor == address(0) ? own : IAnchors(predecessor).retired(member, generation);
    }

    /// @inheritdoc IAnchors
    function forkCount() external view returns (uint256) {
        return _forks.length;
    }

    /// @inheritdoc IAnchors
    function forks(uint256 from, uint256 count) external view returns (Fork[] memory page) {
        uint256 end = pageEnd(from, count, _forks.length);
        page = new Fork[](end - from);
        for (uint256 i = from; i < end; ++i) {
            page[i - from] = _forks[i];
        }
    }

    function _checkGrowth(
        MemberId member,
        Anchor memory last,
        uint64 size,
        bytes32 root,
        bytes32 indexRoot,
        bytes32[] calldata proof
    ) private pure {
        if (size < last.size) revert Anchors__LogShrinks(member, last.size, size);
        if (size == last.size) {
            if (root != last.root) revert Anchors__RootDiffers(member, size, last.root, root);
            // An index root may come later than its size, but does not change for that size.
            if (last.indexRoot != 0 && indexRoot != last.indexRoot) {
                revert Anchors__IndexRootDiffers(member, size, last.indexRoot, indexRoot);
            }
        }
        if (!Rfc6962.consistent(last.size, size, last.root, root, proof)) {
            revert Anchors__ProofFails(member, last.size, size);
        }
    }

    function _name() internal pure override returns (bytes32) {
        return NAME_ANCHORS;
    }
}
