// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "./IConsortium.sol";
import {MemberId} from "./Types.sol";

/// @title Base of the contracts that answer to the Consortium
/// @notice Knows the Consortium and asks it who the sender is. It holds no storage, so the frozen slots of the contract
/// that inherits it begin at 0.
abstract contract Consorted {
    IConsortium internal immutable CONSORTIUM;

    error Consorted__NotAContract(address consortium);

    constructor(address consortium) {
        if (consortium.code.length == 0) revert Consorted__NotAContract(consortium);
        CONSORTIUM = IConsortium(consortium);
    }

    /// @notice The name under which this contract is in force.
    function _name() internal pure virtual returns (bytes32);

    /// @notice The active member that sends this call; reverts for everybody else, and once this contract was replaced.
    function _actor() internal view returns (MemberId) {
        return CONSORTIUM.authorise(msg.sender, _name());
    }
}
