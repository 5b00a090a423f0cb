// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Consistency of two heads of one Merkle log
/// @notice The check of RFC 9162 2.1.4.2 over the hashing of RFC 6962 2.1, by the SHA-256 precompile.
library Rfc6962 {
    /// @notice True when `proof` shows that the tree (size1, root1) is the beginning of the tree (size2, root2).
    /// The proof has exactly the hashes needed. A tree of size 0 proves nothing and is refused: the caller decides what
    /// the beginning of a log is. Equal sizes need equal roots and an empty proof.
    function consistent(uint64 size1, uint64 size2, bytes32 root1, bytes32 root2, bytes32[] memory proof)
        internal
        pure
        returns (bool)
    {
        if (size1 == 0 || size1 > size2) return false;
        if (size1 == size2) return proof.length == 0 && root1 == root2;

        // A first tree of 2^k leaves is a node of the second: its root begins the path and is not sent.
        bool whole = size1 & (size1 - 1) == 0;
        if (!whole && proof.length == 0) return false;
        uint256 next = whole ? 0 : 1;
        bytes32 first = whole ? root1 : proof[0];
        bytes32 second = first;

        uint64 fn = size1 - 1;
        uint64 sn = size2 - 1;
        while (fn & 1 == 1) {
            fn >>= 1;
            sn >>= 1;
        }
        for (; next < proof.length; ++next) {
            if (sn == 0) return false;
            bytes32 hash = proof[next];
            if (fn & 1 == 1 || fn == sn) {
                first = nodeHash(hash, first);
                second = nodeHash(hash, second);
                while (fn & 1 == 0 && fn != 0) {
                    fn >>= 1;
                    sn >>= 1;
                }
            } else {
                second = nodeHash(second, hash);
            }
            fn >>= 1;
            sn >>= 1;
        }
        return sn == 0 && first == root1 && second == root2;
    }

    /// @notice SHA-256(0x01 || left || right), RFC 6962 2.1.
    function nodeHash(bytes32 left, bytes32 right) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x01), left, right));
    }
}
