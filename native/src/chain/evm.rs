//! The EVM: the only file that names revm's types.
//!
//! Rules of Paris (no PUSH0, no initcode limit), base fee 0, coinbase 0. Every transaction commits into an overlay over a
//! state that itself never changes here; `finish` hands out the difference.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;

use alloy_primitives::{Address, B256, Bytes, Log, TxKind, U256, keccak256};
use alloy_trie::KECCAK_EMPTY;
use revm::bytecode::Bytecode;
use revm::context::result::{EVMError, ExecutionResult, InvalidTransaction};
use revm::context::transaction::AccessList;
use revm::context::{BlockEnv, CfgEnv, Context, TxEnv};
use revm::database_interface::DBErrorMarker;
use revm::handler::MainnetContext;
use revm::primitives::hardfork::SpecId;
use revm::state::{AccountInfo, EvmState};
use revm::{Database, ExecuteEvm, MainBuilder, MainnetEvm};

use super::state::{Account, AccountChange, Changes, Fields, State};

/// Deployed code, analysed once.
#[derive(Clone, Debug)]
pub struct Code(Bytecode);

impl Code {
    /// Analyse deployed code.
    pub fn new(bytes: Bytes) -> Self {
        Self(Bytecode::new_legacy(bytes))
    }

    /// The code as deployed.
    pub fn bytes(&self) -> Bytes {
        self.0.original_bytes()
    }
}

/// The block that transactions and calls see.
#[derive(Clone, Copy, Debug)]
pub struct BlockContext {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Block number.
    pub number: u64,
    /// Unix seconds.
    pub timestamp: u64,
    /// Gas limit of the block.
    pub gas_limit: u64,
    /// PREVRANDAO: keccak256(parent hash).
    pub mix_hash: B256,
}

/// One transaction or call.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// EIP-2718 type (0, 1, 2).
    pub kind: u8,
    /// Sender.
    pub from: Address,
    /// Callee; None creates a contract.
    pub to: Option<Address>,
    /// Nonce of the sender.
    pub nonce: u64,
    /// Gas limit.
    pub gas: u64,
    /// Gas price (types 0 and 1) or highest fee (type 2).
    pub price: u128,
    /// Highest priority fee (type 2).
    pub priority: Option<u128>,
    /// Wei.
    pub value: U256,
    /// Calldata or creation code.
    pub input: Bytes,
    /// (address, slots) warmed beforehand.
    pub access_list: Vec<(Address, Vec<B256>)>,
}

/// What became of a transaction. A revert is an outcome, not an error.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Whether it took effect.
    pub success: bool,
    /// Gas after refunds.
    pub gas_used: u64,
    /// Logs; empty without success.
    pub logs: Vec<Log>,
    /// Return or revert data, or the code created.
    pub output: Bytes,
    /// Contract made.
    pub created: Option<Address>,
}

/// Why a transaction never ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// The gas limit does not pay for the transaction's bytes.
    Gas(String),
    /// The sender has not the money for price and value.
    Balance(String),
    /// The nonce is behind the sender's.
    NonceLow(String),
    /// The nonce is ahead of the sender's.
    NonceGap(String),
    /// Another rule of Ethereum.
    Other(String),
    /// Our own state is broken (code without bytes).
    Broken(String),
}

/// Hashes of ancestors by number.
pub type BlockHashes<'a> = &'a (dyn Fn(u64) -> Option<B256> + Sync);

/// An EVM over a state.
pub struct Machine<'a> {
    evm: MainnetEvm<MainnetContext<Overlay<'a>>>,
}

impl<'a> Machine<'a> {
    /// For the transactions of a block.
    pub fn new(state: &'a State, block: BlockContext, hashes: BlockHashes<'a>) -> Self {
        Self::build(state, block, hashes, false)
    }

    /// For calls: the sender's nonce is not checked.
    pub fn for_calls(state: &'a State, block: BlockContext, hashes: BlockHashes<'a>) -> Self {
        Self::build(state, block, hashes, true)
    }

    fn build(state: &'a State, block: BlockContext, hashes: BlockHashes<'a>, call: bool) -> Self {
        let mut cfg = CfgEnv::new_with_spec(SpecId::MERGE);
        cfg.chain_id = block.chain_id;
        cfg.tx_chain_id_check = false;
        cfg.disable_nonce_check = call;
        let env = BlockEnv {
            number: U256::from(block.number),
            beneficiary: Address::ZERO,
            timestamp: U256::from(block.timestamp),
            gas_limit: block.gas_limit,
            basefee: 0,
            difficulty: U256::ZERO,
            prevrandao: Some(block.mix_hash),
            blob_excess_gas_and_price: None,
            slot_num: 0,
        };
        let overlay =
            Overlay { state, hashes, accounts: HashMap::new(), codes: HashMap::new(), loaded: RefCell::default() };
        let context: MainnetContext<Overlay<'a>> = Context::new(overlay, SpecId::MERGE);
        Self { evm: context.with_cfg(cfg).with_block(env).build_mainnet() }
    }

    /// Run a transaction and keep its effects.
    pub fn transact(&mut self, request: &Request) -> Result<Outcome, Rejected> {
        let done = self.evm.transact(environment(request)).map_err(rejected)?;
        self.evm.ctx.journaled_state.database.commit(done.state);
        Ok(outcome(done.result))
    }

    /// Run a call and forget its effects.
    pub fn call(&mut self, request: &Request) -> Result<Outcome, Rejected> {
        Ok(outcome(self.evm.transact(environment(request)).map_err(rejected)?.result))
    }

    /// What the transactions changed, in key order.
    pub fn finish(self) -> Changes {
        let overlay = self.evm.ctx.journaled_state.database;
        let mut changes = Changes::default();
        for (address, entry) in overlay.accounts {
            let mut slots: Vec<_> =
                entry.slots.into_iter().map(|(slot, value)| (keccak256(slot.to_be_bytes::<32>()), value)).collect();
            slots.sort_unstable_by_key(|(slot, _)| *slot);
            changes.accounts.push(AccountChange {
                key: keccak256(address),
                fields: entry.fields,
                cleared: entry.cleared,
                slots,
            });
        }
        changes.accounts.sort_unstable_by_key(|account| account.key);
        changes.codes = overlay.codes.into_iter().map(|(hash, code)| (hash, Code(code))).collect();
        changes.codes.sort_unstable_by_key(|(hash, _)| *hash);
        changes
    }
}

/// Effects of the transactions so far over an unchanging state.
struct Overlay<'a> {
    state: &'a State,
    hashes: BlockHashes<'a>,
    accounts: HashMap<Address, Entry>,
    codes: HashMap<B256, Bytecode>,
    /// Accounts read from `state`, so that a slot does not hash its address again.
    loaded: RefCell<HashMap<Address, Option<&'a Account>>>,
}

#[derive(Default)]
struct Entry {
    fields: Option<Fields>,
    cleared: bool,
    slots: HashMap<U256, U256>,
}

impl<'a> Overlay<'a> {
    fn below(&self, address: Address) -> Option<&'a Account> {
        *self.loaded.borrow_mut().entry(address).or_insert_with(|| self.state.account(&address))
    }

    fn commit(&mut self, changes: EvmState) {
        for (address, account) in changes {
            if !account.is_touched() {
                continue;
            }
            let entry = self.accounts.entry(address).or_default();
            let fields =
                Fields { nonce: account.info.nonce, balance: account.info.balance, code_hash: account.info.code_hash };
            // Destroyed, or touched and empty (EIP-161): it exists no more, and neither does its storage.
            if account.is_selfdestructed() || fields.is_empty() {
                *entry = Entry { fields: None, cleared: true, slots: HashMap::new() };
                continue;
            }
            if account.is_created() {
                entry.cleared = true;
                entry.slots.clear();
                let new = self.state.code(&fields.code_hash).is_none();
                if let Some(code) = account.info.code.filter(|code| new && !code.is_empty()) {
                    self.codes.insert(fields.code_hash, code);
                }
            }
            entry.fields = Some(fields);
            let changed = account.storage.iter().filter(|(_, slot)| slot.is_changed());
            entry.slots.extend(changed.map(|(key, slot)| (*key, slot.present_value())));
        }
    }
}

impl Database for Overlay<'_> {
    type Error = StateError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        let fields = match self.accounts.get(&address) {
            Some(entry) => entry.fields,
            None => self.below(address).map(|account| account.fields),
        };
        Ok(fields.map(|fields| AccountInfo {
            balance: fields.balance,
            nonce: fields.nonce,
            code_hash: fields.code_hash,
            account_id: None,
            code: None,
        }))
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, StateError> {
        if hash == KECCAK_EMPTY {
            return Ok(Bytecode::default());
        }
        let known = self.codes.get(&hash).cloned().or_else(|| self.state.code(&hash).map(|code| code.0.clone()));
        known.ok_or(StateError(hash))
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, StateError> {
        if let Some(entry) = self.accounts.get(&address) {
            if let Some(value) = entry.slots.get(&slot) {
                return Ok(*value);
            }
            if entry.cleared {
                return Ok(U256::ZERO);
            }
        }
        Ok(self.below(address).map_or(U256::ZERO, |account| account.slot(slot)))
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, StateError> {
        Ok((self.hashes)(number).unwrap_or_default())
    }
}

/// The state names code that it does not hold.
#[derive(Debug)]
struct StateError(B256);

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the state holds no code with hash {}", self.0)
    }
}

impl std::error::Error for StateError {}

impl DBErrorMarker for StateError {}

fn environment(request: &Request) -> TxEnv {
    let items = request.access_list.iter().map(|(address, slots)| revm::context::transaction::AccessListItem {
        address: *address,
        storage_keys: slots.clone(),
    });
    TxEnv {
        tx_type: request.kind,
        caller: request.from,
        gas_limit: request.gas,
        gas_price: request.price,
        kind: request.to.map_or(TxKind::Create, TxKind::Call),
        value: request.value,
        data: request.input.clone(),
        nonce: request.nonce,
        chain_id: None,
        access_list: AccessList(items.collect()),
        gas_priority_fee: request.priority,
        blob_hashes: Vec::new(),
        max_fee_per_blob_gas: 0,
        authorization_list: Vec::new(),
    }
}

fn outcome(result: ExecutionResult) -> Outcome {
    let gas_used = result.gas().tx_gas_used();
    let success = result.is_success();
    let created = result.created_address();
    let logs = if success { result.logs().to_vec() } else { Vec::new() };
    Outcome { success, gas_used, logs, output: result.into_output().unwrap_or_default(), created }
}

fn rejected(error: EVMError<StateError>) -> Rejected {
    use InvalidTransaction as Invalid;
    match error {
        EVMError::Transaction(reason) => {
            let text = reason.to_string();
            match reason {
                Invalid::CallGasCostMoreThanGasLimit { .. } | Invalid::CallerGasLimitMoreThanBlock => {
                    Rejected::Gas(text)
                }
                Invalid::LackOfFundForMaxFee { .. } | Invalid::OverflowPaymentInTransaction => Rejected::Balance(text),
                Invalid::NonceTooLow { .. } => Rejected::NonceLow(text),
                Invalid::NonceTooHigh { .. } => Rejected::NonceGap(text),
                _ => Rejected::Other(text),
            }
        }
        other => Rejected::Broken(other.to_string()),
    }
}
