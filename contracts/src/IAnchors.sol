// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MemberId} from "./Types.sol";

/// @title The heads of the departments' logs
/// @notice A log's head moves forward only, and only by an RFC 6962 consistency proof that this contract checks itself: a
/// rewritten or shortened log cannot be anchored. Slot 0 is frozen (contracts/storageLayout.json).
interface IAnchors {
    /// @param root RFC 6962 root
    /// @param indexRoot Root of the verifiable index, zero until there is one
    /// @param size Number of records
    /// @param time Seconds of the block
    /// @param generation Generation of the log, from 1
    struct Anchor {
        bytes32 root;
        bytes32 indexRoot;
        uint64 size;
        uint64 time;
        uint16 generation;
    }

    /// Two signed heads of one log that contradict each other, as reported. Signatures are checked off the chain.
    struct Fork {
        MemberId member;
        MemberId reporter;
        uint64 time;
        bytes32 digest; // keccak256 of the two notes' keccak256, the smaller first
    }

    event Anchored(MemberId indexed member, uint16 indexed generation, uint64 size, bytes32 root, bytes32 indexRoot);
    event ForkReported(
        MemberId indexed member, MemberId indexed reporter, bytes32 indexed digest, bytes noteA, bytes noteB
    );

    error Anchors__NotOwnLog(MemberId member, MemberId sender);
    error Anchors__EmptyLog(MemberId member);
    error Anchors__LogShrinks(MemberId member, uint64 anchored, uint64 size);
    error Anchors__RootDiffers(MemberId member, uint64 size, bytes32 anchored, bytes32 root);
    error Anchors__IndexRootDiffers(MemberId member, uint64 size, bytes32 anchored, bytes32 indexRoot);
    error Anchors__ProofFails(MemberId member, uint64 anchored, uint64 size);
    error Anchors__MalformedNote(uint256 lengthA, uint256 lengthB);
    error Anchors__SameNote();
    error Anchors__ForkKnown(bytes32 digest);

    /// @notice Move the head of the sender's log. The same size again is allowed with the same root (its time is renewed).
    /// @param member The sender's own id
    /// @param size Number of records, not zero
    /// @param root RFC 6962 root at that size
    /// @param indexRoot Root of the verifiable index at that size, zero until there is one
    /// @param proof Consistency proof from the anchored size; empty for the first anchor of a generation or the same size
    function record(MemberId member, uint64 size, bytes32 root, bytes32 indexRoot, bytes32[] calldata proof) external;

    /// @notice The newest anchor of a member, also one taken over from the predecessor of this contract; zeros where none.
    function anchor(MemberId member) external view returns (Anchor memory);

    /// @notice The last anchor of a retired generation; zeros where none.
    function retired(MemberId member, uint16 generation) external view returns (Anchor memory);

    /// @notice Accuse a log of two contradicting heads; by any active member. Notes of 1 to 8192 bytes.
    function reportFork(MemberId member, bytes calldata noteA, bytes calldata noteB) external returns (bytes32 digest);

    function forkCount() external view returns (uint256);

    /// @notice Reports [from, from + count), at most 200.
    function forks(uint256 from, uint256 count) external view returns (Fork[] memory);
}
