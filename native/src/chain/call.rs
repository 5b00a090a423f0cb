//! Calls and gas estimates on a snapshot: nothing they do is kept.

use alloy_primitives::{Address, Bytes, U256};

use super::engine::Chain;
use super::evm::{Machine, Outcome, Request};
use super::window::Snapshot;
use super::{fail, rules};
use crate::error::Error;

/// Gas of a call that names none: enough for any read, and an endless loop ends within about a tenth of a second.
pub const CALL_GAS: u64 = 50_000_000;

/// A call: who, whom, what.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// Sender as the contract sees it.
    pub from: Address,
    /// Callee; None runs creation code.
    pub to: Option<Address>,
    /// Calldata.
    pub input: Bytes,
    /// Wei.
    pub value: U256,
    /// Gas limit; None for the usual one.
    pub gas: Option<u64>,
}

impl Chain {
    /// Run a call on a snapshot. Errors: `evm.gas`, `evm.refused`.
    pub fn call(&self, on: &Snapshot, call: &Call) -> Result<Outcome, Error> {
        let most = self.limits().block_gas;
        let gas = call.gas.unwrap_or_else(|| CALL_GAS.min(most));
        if gas > most {
            return Err(fail::invalid("evm.gas", format!("a call may use at most {most} gas")));
        }
        self.run(on, call, gas)
    }

    fn run(&self, on: &Snapshot, call: &Call, gas: u64) -> Result<Outcome, Error> {
        let hashes = |number| self.hash_at(number);
        let mut machine = Machine::for_calls(&on.state, on.sealed.context(self.limits().chain_id), &hashes);
        let request = Request {
            from: call.from,
            to: call.to,
            gas,
            value: call.value,
            input: call.input.clone(),
            ..Request::default()
        };
        machine.call(&request).map_err(|reason| {
            let error = rules::rejected(reason);
            if error.code == "tx.gas" {
                fail::invalid("evm.gas", error.message)
            } else {
                fail::invalid("evm.refused", error.message)
            }
        })
    }

    /// The least gas limit with which a call succeeds. Errors: `evm.revert` (actual: the revert data), `evm.gas`.
    pub fn estimate_gas(&self, on: &Snapshot, call: &Call) -> Result<u64, Error> {
        let mut enough = rules::member_share(&on.state, self.limits().block_gas);
        let outcome = self.run(on, call, enough)?;
        if !outcome.success {
            let error = fail::invalid("evm.revert", "the call would revert");
            return Err(error.actual_bytes(outcome.output.to_vec()));
        }
        // It never works below what it used; a first guess with room for the 63/64 rule saves most of the search.
        let mut short = outcome.gas_used.saturating_sub(1);
        let guess = outcome.gas_used + outcome.gas_used / 32 + 2_300;
        if guess < enough && self.succeeds(on, call, guess) {
            enough = guess;
        }
        while enough - short > 1 {
            let middle = short + (enough - short) / 2;
            if self.succeeds(on, call, middle) { enough = middle } else { short = middle }
        }
        Ok(enough)
    }

    fn succeeds(&self, on: &Snapshot, call: &Call, gas: u64) -> bool {
        self.run(on, call, gas).is_ok_and(|outcome| outcome.success)
    }
}
