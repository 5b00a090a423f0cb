//! The application as CometBFT meets it: over its socket, message by message.

mod crashes;
mod frames;
mod life;
mod pool;
mod proposals;
mod snapshots;
mod validators;

use std::collections::BTreeMap;
use std::io::BufReader;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{B256, U256, hex, keccak256};
use tempfile::TempDir;
use tendermint_proto::google::protobuf::Timestamp;
use tendermint_proto::v0_38::abci::{
    ExecTxResult, Request, RequestCheckTx, RequestCommit, RequestFinalizeBlock, RequestInfo, RequestInitChain,
    RequestPrepareProposal, RequestProcessProposal, Response, ResponseCheckTx, ResponseFinalizeBlock, ResponseInfo,
    request, response,
};

use super::bell::BELL;
use super::handover::Commit;
use super::snapshot::Maker;
use super::start::{app_state, update};
use super::{Application, Handler, Server, frame};
use crate::chain::engine::Chain;
use crate::chain::tests::{
    GENESIS_MS, KEYED_STORE, Member, consortium_slots, creation, genesis_file, mapping, member, reload, store,
};
use crate::error::Error;

/// Nothing here takes long; a machine under load may.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Fill the slots from the first word of calldata up to the second.
pub const FILLER: &[u8] = &hex!("6020356000355b8019815560010181811060065700");

/// The consensus key of member `n`.
pub fn key(n: u8) -> B256 {
    B256::repeat_byte(0xc0 + n)
}

/// Slot of element `place` of the array at `slot`.
pub fn element(slot: U256, place: u64) -> U256 {
    U256::from_be_bytes(keccak256(slot.to_be_bytes::<32>()).0) + U256::from(place)
}

/// A member's first word: active, validator or not.
pub fn standing(validator: bool) -> U256 {
    U256::from(1) | U256::from(u8::from(validator)) << (19 * 8)
}

/// Slots that make the members active validators with their keys.
fn validator_slots(members: &[&Member], adopted: &[&[u8]]) -> Vec<(U256, U256)> {
    let mut slots = consortium_slots(members, adopted);
    slots.push((U256::from(7), U256::from(members.len())));
    for (place, member) in members.iter().enumerate() {
        let key = key(place as u8 + 1);
        slots.push((element(U256::from(7), place as u64), member.id.into()));
        slots.push((mapping(member.id, 1), standing(true)));
        slots.push((mapping(member.id, 9), U256::from(1)));
        slots.push((element(mapping(member.id, 9), 0), key.into()));
        slots.push((mapping(key, 3) + U256::from(1), U256::from(0x0102)));
    }
    slots
}

/// A node: the application on its socket, and what its store holds.
pub struct Node {
    pub file: Vec<u8>,
    pub rows: BTreeMap<Vec<u8>, Vec<u8>>,
    pub row: Option<Vec<u8>>,
    pub chain: Arc<Chain>,
    pub application: Arc<Application>,
    pub server: Server,
    pub path: PathBuf,
    _folder: TempDir,
}

impl Node {
    /// Members 1 to `members` are founders and validators.
    pub fn found(members: u8) -> Self {
        Self::found_with(members, None)
    }

    /// A founded node that makes snapshots.
    pub fn found_with(members: u8, maker: Option<Maker>) -> Self {
        let members: Vec<_> = (1..=members).map(member).collect();
        let slots = validator_slots(&members.iter().collect::<Vec<_>>(), &[]);
        let file = genesis_file(&[creation(&slots, KEYED_STORE), creation(&[], KEYED_STORE), creation(&[], FILLER)]);
        Self::join(file, maker)
    }

    /// A node that has the genesis file and nothing else.
    pub fn join(file: Vec<u8>, maker: Option<Maker>) -> Self {
        let (chain, first) = Chain::genesis(&file).expect("a good genesis");
        let mut rows = BTreeMap::new();
        store(&mut rows, &first);
        Self::start(file, rows, None, chain, maker).expect("starts")
    }

    fn start(
        file: Vec<u8>,
        rows: BTreeMap<Vec<u8>, Vec<u8>>,
        row: Option<Vec<u8>>,
        chain: Chain,
        maker: Option<Maker>,
    ) -> Result<Self, Error> {
        let chain = Arc::new(chain);
        let application = Arc::new(Application::new(Arc::clone(&chain), &file, row.as_deref(), maker)?);
        let server = Server::new(Arc::clone(&application) as Arc<dyn Handler>);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("app.sock");
        server.listen(&path)?;
        Ok(Self { file, rows, row, chain, application, server, path, _folder: folder })
    }

    /// The process dies here: only what was stored is left.
    pub fn crash(self) -> Self {
        self.crash_with(None)
    }

    /// As `crash`; the new process makes snapshots.
    pub fn crash_with(self, maker: Option<Maker>) -> Self {
        self.server.stop();
        let chain = reload(&self.file, &self.rows).expect("whole");
        Self::start(self.file, self.rows, self.row, chain, maker).expect("starts again")
    }

    pub fn connect(&self) -> Client {
        let stream = UnixStream::connect(&self.path).expect("listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Client { input: BufReader::new(stream.try_clone().expect("a second handle")), output: stream }
    }

    /// A connection after the handshake of a fresh network.
    pub fn begin(&self) -> Client {
        let mut client = self.connect();
        client.init_chain(self.init_request()).expect("taken");
        client
    }

    pub fn init_request(&self) -> RequestInitChain {
        let digest = alloy_primitives::hex::encode(self.chain.genesis_digest());
        let keys = crate::chain::consortium::validators(&self.chain.head().state);
        RequestInitChain {
            chain_id: format!("civic-{}", &digest[..16]),
            validators: keys.iter().map(|key| update(key, 1)).collect(),
            app_state_bytes: app_state(&self.file).into(),
            initial_height: 1,
            ..RequestInitChain::default()
        }
    }

    /// Store what waits, as the node does; without saying so to the application.
    pub fn keep(&mut self) -> Arc<Commit> {
        let commit = self.application.next_commit(PATIENCE).expect("a Commit waits");
        if let Some(rows) = &commit.restored {
            self.rows = rows.iter().cloned().collect();
        }
        if let Some(block) = &commit.block {
            store(&mut self.rows, &block.writes);
        }
        self.row = Some(commit.consensus.clone());
        commit
    }

    /// FinalizeBlock and Commit of one height.
    pub fn height(&mut self, client: &mut Client, height: i64, txs: &[Vec<u8>]) -> ResponseFinalizeBlock {
        let finalized = client.finalize(height, txs).expect("executes");
        client.send(request::Value::Commit(RequestCommit {}));
        self.keep();
        self.application.committed().expect("stored");
        assert!(matches!(client.receive(), Some(response::Value::Commit(_))));
        finalized
    }

    /// Hand in as the own member's; the code of each, empty where it waits.
    pub fn hand_in(&self, raws: &[Vec<u8>]) -> Vec<&'static str> {
        let taken = self.application.hand_in(raws, true);
        taken.into_iter().map(|(_, answer)| answer.err().map_or("", |error| error.code)).collect()
    }

    pub fn root(&self) -> B256 {
        self.chain.head().state.root()
    }
}

/// CometBFT's side of one connection.
pub struct Client {
    pub input: BufReader<UnixStream>,
    pub output: UnixStream,
}

impl Client {
    pub fn send(&mut self, value: request::Value) {
        frame::write(&mut self.output, &Request { value: Some(value) }).expect("sent");
    }

    /// None when the connection has ended.
    pub fn receive(&mut self) -> Option<response::Value> {
        frame::read::<Response>(&mut self.input).ok().flatten().and_then(|response| response.value)
    }

    /// The answer, or the text of the exception.
    pub fn ask(&mut self, value: request::Value) -> Result<response::Value, String> {
        self.send(value);
        match self.receive() {
            Some(response::Value::Exception(exception)) => Err(exception.error),
            Some(value) => Ok(value),
            None => Err("the connection ended".into()),
        }
    }

    pub fn info(&mut self) -> ResponseInfo {
        match self.ask(request::Value::Info(RequestInfo::default())) {
            Ok(response::Value::Info(info)) => info,
            other => panic!("{other:?}"),
        }
    }

    pub fn init_chain(&mut self, request: RequestInitChain) -> Result<B256, String> {
        match self.ask(request::Value::InitChain(request))? {
            response::Value::InitChain(answer) => Ok(B256::from_slice(&answer.app_hash)),
            other => panic!("{other:?}"),
        }
    }

    pub fn check(&mut self, raw: &[u8], again: bool) -> ResponseCheckTx {
        let request = RequestCheckTx { tx: raw.to_vec().into(), r#type: i32::from(again) };
        match self.ask(request::Value::CheckTx(request)) {
            Ok(response::Value::CheckTx(answer)) => answer,
            other => panic!("{other:?}"),
        }
    }

    /// CometBFT offers what its mempool holds.
    pub fn prepare(&mut self, height: i64, room: i64) -> Vec<Vec<u8>> {
        let txs = vec![BELL.into()];
        let request = RequestPrepareProposal { max_tx_bytes: room, txs, height, ..RequestPrepareProposal::default() };
        match self.ask(request::Value::PrepareProposal(request)) {
            Ok(response::Value::PrepareProposal(answer)) => answer.txs.iter().map(|raw| raw.to_vec()).collect(),
            other => panic!("{other:?}"),
        }
    }

    /// Whether the proposal is accepted.
    pub fn process(&mut self, height: i64, txs: &[Vec<u8>]) -> bool {
        let txs = txs.iter().map(|raw| raw.clone().into()).collect();
        let request = RequestProcessProposal { txs, height, time: time(height), ..RequestProcessProposal::default() };
        match self.ask(request::Value::ProcessProposal(request)) {
            Ok(response::Value::ProcessProposal(answer)) => answer.status == 1,
            other => panic!("{other:?}"),
        }
    }

    pub fn finalize(&mut self, height: i64, txs: &[Vec<u8>]) -> Result<ResponseFinalizeBlock, String> {
        let txs = txs.iter().map(|raw| raw.clone().into()).collect();
        let request = RequestFinalizeBlock { txs, height, time: time(height), ..RequestFinalizeBlock::default() };
        match self.ask(request::Value::FinalizeBlock(request))? {
            response::Value::FinalizeBlock(answer) => Ok(answer),
            other => panic!("{other:?}"),
        }
    }
}

/// The time of a height, 700 ms past a full second: a block's time is the second.
fn time(height: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds: (GENESIS_MS / 1000) as i64 + height, nanos: 700_000_000 })
}

/// (code, codespace) of each.
pub fn codes(results: &[ExecTxResult]) -> Vec<(u32, &str)> {
    results.iter().map(|result| (result.code, result.codespace.as_str())).collect()
}
