//! The ABCI application as a process of its own, in memory, with switches that make it hostile. For tests only: nothing
//! of this is in the library.
//!
//! `abci_app --genesis FILE --socket PATH [--snapshots FOLDER [--every N]] [--include FILE] [--accept-all]
//! [--wrong-app-hash HEIGHT]`
//!
//! `--include FILE`: one raw transaction in hex, put first into every proposal. `--accept-all`: accept every proposal.
//! `--wrong-app-hash HEIGHT`: from this consensus height on another app hash than the right one. Prints a JSON line for
//! everything it does.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use _native::abci::snapshot::folder::Folder;
use _native::abci::snapshot::{EVERY, Maker};
use _native::abci::{Application, Handler, Server};
use _native::chain::engine::Chain;
use _native::error::Error;
use prost::bytes::Bytes;
use serde_json::{Value, json};
use tendermint_proto::v0_38::abci::response_process_proposal::ProposalStatus;
use tendermint_proto::v0_38::abci::{request, response};

#[derive(Default)]
struct Settings {
    genesis: PathBuf,
    socket: PathBuf,
    snapshots: Option<PathBuf>,
    every: u64,
    include: Option<Bytes>,
    accept_all: bool,
    wrong_from: Option<i64>,
}

impl Settings {
    fn read(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut settings = Self { every: EVERY, ..Self::default() };
        while let Some(name) = args.next() {
            if name == "--accept-all" {
                settings.accept_all = true;
                continue;
            }
            let value = args.next().ok_or(format!("{name} needs a value"))?;
            let number = || value.parse().map_err(|_| format!("{value} is no height"));
            match name.as_str() {
                "--genesis" => settings.genesis = value.into(),
                "--socket" => settings.socket = value.into(),
                "--snapshots" => settings.snapshots = Some(value.into()),
                "--every" => settings.every = number()?,
                "--wrong-app-hash" => settings.wrong_from = Some(number()?.cast_signed()),
                "--include" => {
                    let text = std::fs::read_to_string(&value).map_err(|error| format!("{value}: {error}"))?;
                    let raw =
                        alloy_primitives::hex::decode(text.trim()).map_err(|error| format!("{value}: {error}"))?;
                    settings.include = Some(raw.into());
                }
                _ => return Err(format!("{name} is unknown")),
            }
        }
        Ok(settings)
    }
}

/// Says one thing done; a reader that is gone is no reason to stop.
fn say(line: &Value) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// The honest application, and what this process does otherwise.
struct Hostile {
    honest: Arc<Application>,
    settings: Settings,
}

impl Handler for Hostile {
    fn handle(&self, request: request::Value) -> Result<response::Value, Error> {
        let height = match &request {
            request::Value::PrepareProposal(request) => request.height,
            request::Value::ProcessProposal(request) => request.height,
            request::Value::FinalizeBlock(request) => request.height,
            _ => 0,
        };
        let mut answer = self.honest.handle(request)?;
        match &mut answer {
            response::Value::PrepareProposal(proposal) => {
                if let Some(raw) = &self.settings.include {
                    proposal.txs.insert(0, raw.clone());
                }
                say(&json!({"event": "proposed", "height": height, "transactions": proposal.txs.len()}));
            }
            response::Value::ProcessProposal(judged) => {
                if self.settings.accept_all {
                    judged.status = ProposalStatus::Accept as i32;
                }
                let accepted = judged.status == ProposalStatus::Accept as i32;
                say(&json!({"event": if accepted { "accepted" } else { "rejected" }, "height": height}));
            }
            response::Value::FinalizeBlock(finalized)
                if self.settings.wrong_from.is_some_and(|from| height >= from) =>
            {
                finalized.app_hash = finalized.app_hash.iter().map(|byte| !byte).collect();
                say(&json!({"event": "lied", "height": height}));
            }
            _ => {}
        }
        Ok(answer)
    }

    fn close(&self, failure: Option<&Error>) {
        self.honest.close(failure);
    }

    fn finish(&self) {
        self.honest.finish();
    }
}

fn run(settings: Settings) -> Result<(), String> {
    let text = |error: Error| error.to_string();
    let file = std::fs::read(&settings.genesis).map_err(|error| format!("{}: {error}", settings.genesis.display()))?;
    let (chain, _) = Chain::genesis(&file).map_err(text)?;
    let maker = match &settings.snapshots {
        Some(folder) => Some(Maker::new(Folder::open(folder).map_err(text)?, settings.every)),
        None => None,
    };
    let honest = Arc::new(Application::new(Arc::new(chain), &file, None, maker).map_err(text)?);
    let socket = settings.socket.clone();
    let server = Server::new(Arc::new(Hostile { honest: Arc::clone(&honest), settings }));
    server.listen(&socket).map_err(text)?;
    say(&json!({"event": "listening"}));
    loop {
        if let Some(commit) = honest.next_commit(Duration::from_secs(3600)) {
            honest.committed().map_err(text)?;
            let hash = commit.block.as_ref().map(|block| block.sealed.hash.to_string());
            say(&json!({"event": "commit", "height": commit.height, "app_hash": hash}));
        } else if let Some(error) = honest.failure() {
            return Err(error.to_string());
        }
    }
}

fn main() -> ExitCode {
    match Settings::read(std::env::args().skip(1)).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            say(&json!({"event": "failed", "message": message}));
            ExitCode::FAILURE
        }
    }
}
