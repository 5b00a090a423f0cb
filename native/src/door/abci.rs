//! The ABCI application for Python: what CometBFT commits is handed out, stored by the caller, and acknowledged.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, B256};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::args::{Bytes, Count, Fixed};
use super::blob::Blob;
use super::chain::Chain;
use super::executed::ExecutedBlock;
use super::fault::{call, call_detached};
use crate::abci::bell::BELL;
use crate::abci::pool::Reason;
use crate::abci::snapshot::folder::Folder;
use crate::abci::snapshot::{EVERY, Maker};
use crate::abci::{Application, Commit, Handler, Server};
use crate::error::{Class, Error};

/// Put this area's classes into the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<AbciServer>()?;
    module.add_class::<AbciCommit>()
}

/// Longest wait in one call, seconds.
const LONGEST_WAIT: f64 = 3600.0;

/// An ABCI application and its socket. No thread of it ever takes the GIL.
#[pyclass(frozen, module = "ledger._native")]
pub struct AbciServer {
    application: Arc<Application>,
    server: Server,
}

#[pymethods]
impl AbciServer {
    #[new]
    #[pyo3(signature = (chain, genesis, consensus, *, snapshots = None, snapshot_every = Count(EVERY)))]
    fn new(
        py: Python<'_>,
        chain: &Bound<'_, Chain>,
        genesis: Bytes<'_>,
        consensus: Option<Bytes<'_>>,
        snapshots: Option<&str>,
        snapshot_every: Count,
    ) -> PyResult<Self> {
        let chain = Arc::clone(&chain.get().0);
        let (genesis, consensus) = (genesis.0, consensus.map(|row| row.0));
        let application = Arc::new(call_detached(py, || {
            let folder = snapshots.map(|path| Folder::open(Path::new(path))).transpose()?;
            let maker = folder.map(|folder| Maker::new(folder, snapshot_every.0));
            Application::new(chain, genesis, consensus, maker)
        })?);
        let server = Server::new(Arc::clone(&application) as Arc<dyn Handler>);
        Ok(Self { application, server })
    }

    fn listen(&self, py: Python<'_>, path: &str) -> PyResult<()> {
        call_detached(py, || self.server.listen(Path::new(path)))
    }

    fn next_commit(&self, py: Python<'_>, timeout: f64) -> PyResult<Option<AbciCommit>> {
        let wait = call(|| seconds(timeout))?;
        let commit = call_detached(py, || Ok(self.application.next_commit(wait)))?;
        Ok(commit.map(AbciCommit))
    }

    fn committed(&self, py: Python<'_>) -> PyResult<()> {
        call_detached(py, || self.application.committed())
    }

    fn fail(&self, py: Python<'_>, message: &str) -> PyResult<()> {
        call_detached(py, || {
            let error = self.application.fail(message);
            self.server.shut(&error);
            Ok(())
        })
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        call_detached(py, || {
            self.server.stop();
            Ok(())
        })
    }

    fn failure(&self) -> Option<(&'static str, String)> {
        self.application.failure().map(|error| {
            let message =
                if error.hint.is_empty() { error.message } else { format!("{}: {}", error.message, error.hint) };
            (error.code, message)
        })
    }

    /// Takes the GIL away for as long as it works; many together are opened in parallel.
    fn hand_in<'py>(&self, py: Python<'py>, raws: Vec<Blob>, own: bool) -> PyResult<Vec<Answer<'py>>> {
        let taken = call_detached(py, || Ok(self.application.hand_in(&raws, own)))?;
        let answer = |(hash, answer): (B256, Result<(), Error>)| {
            let (code, message) = answer.err().map_or(("", String::new()), |error| (error.code, error.message));
            (PyBytes::new(py, hash.as_slice()), code, message)
        };
        Ok(taken.into_iter().map(answer).collect())
    }

    fn next_bell(&self, py: Python<'_>, timeout: f64) -> PyResult<bool> {
        let wait = call(|| seconds(timeout))?;
        call_detached(py, || Ok(self.application.next_bell(wait)))
    }

    #[getter]
    fn bell<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, BELL)
    }

    fn waiting(&self, py: Python<'_>) -> PyResult<(usize, usize, bool)> {
        call_detached(py, || Ok(self.application.waiting()))
    }

    fn find<'py>(&self, py: Python<'py>, hash: Fixed<32>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let found = call_detached(py, || Ok(self.application.find(&B256::from(hash.0))))?;
        Ok(found.map(|tx| PyBytes::new(py, &tx.raw)))
    }

    fn own<'py>(&self, py: Python<'py>, age: f64) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let age = call(|| seconds(age))?;
        let own = call_detached(py, || Ok(self.application.own(age)))?;
        Ok(own.iter().map(|tx| PyBytes::new(py, &tx.raw)).collect())
    }

    fn pending_nonce(&self, py: Python<'_>, address: Fixed<20>) -> PyResult<u64> {
        call_detached(py, || Ok(self.application.pending_nonce(&Address::from(address.0))))
    }

    fn refusals(&self, py: Python<'_>, hashes: Vec<Fixed<32>>) -> PyResult<Vec<Option<Reason>>> {
        let hashes: Vec<_> = hashes.iter().map(|hash| B256::from(hash.0)).collect();
        call_detached(py, || Ok(self.application.reasons(&hashes)))
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let out = PyDict::new(py);
        for (name, value) in self.application.stats() {
            out.set_item(name, value)?;
        }
        Ok(out)
    }
}

fn seconds(number: f64) -> Result<Duration, Error> {
    match number {
        0.0..=LONGEST_WAIT => Ok(Duration::from_secs_f64(number)),
        _ => Err(Error::new(Class::InvalidInput, "input.range", "the time is from 0 to 3,600 seconds")),
    }
}

/// Hash, code and message of one answer; no code where it was taken.
type Answer<'py> = (Bound<'py, PyBytes>, &'static str, String);

/// A Commit that waits to be stored.
#[pyclass(frozen, module = "ledger._native")]
pub struct AbciCommit(Arc<Commit>);

/// A row to store.
type Row<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>);

#[pymethods]
impl AbciCommit {
    #[getter]
    fn height(&self) -> u64 {
        self.0.height
    }

    #[getter]
    fn time_ms(&self) -> u64 {
        self.0.time_ms
    }

    #[getter]
    fn block(&self) -> Option<ExecutedBlock> {
        self.0.block.clone().map(ExecutedBlock)
    }

    #[getter]
    fn consensus<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.consensus)
    }

    #[getter]
    fn refused<'py>(&self, py: Python<'py>) -> Vec<(Bound<'py, PyBytes>, &'static str, String)> {
        let entry =
            |(hash, error): &(B256, Error)| (PyBytes::new(py, hash.as_slice()), error.code, error.message.clone());
        self.0.refused.iter().map(entry).collect()
    }

    #[getter]
    fn validators<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.0.validators.iter().map(|key| PyBytes::new(py, key.as_slice())).collect()
    }

    #[getter]
    fn restored<'py>(&self, py: Python<'py>) -> Option<Vec<Row<'py>>> {
        let rows = self.0.restored.as_ref()?;
        Some(rows.iter().map(|(key, value)| (PyBytes::new(py, key), PyBytes::new(py, value))).collect())
    }
}
