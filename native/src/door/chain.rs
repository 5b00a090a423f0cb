//! The chain state machine for Python.

use std::sync::Arc;

use alloy_primitives::{Address, B256, U256, keccak256};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyTuple};
use rayon::prelude::*;

use super::args::{Bytes, Count, Fixed};
use super::blob::Blob;
use super::executed::{self, ExecutedBlock, whole_number};
use super::fault::{call, call_detached};
use crate::chain::call::Call;
use crate::chain::engine;
use crate::chain::store::Loader;
use crate::chain::window::Snapshot;
use crate::error::{Class, Error};

/// Put this area's classes and functions into the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Chain>()?;
    module.add_class::<ExecutedBlock>()?;
    module.add_function(wrap_pyfunction!(executed::header_fields, module)?)?;
    module.add_function(wrap_pyfunction!(executed::transaction_fields, module)?)?;
    module.add_function(wrap_pyfunction!(executed::verify_account, module)?)?;
    module.add_function(wrap_pyfunction!(executed::verify_storage, module)?)
}

/// A transaction that was taken, or (code, message).
type Checked<'py> = Bound<'py, PyTuple>;

/// A row to store.
type Row<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>);

/// A row to put, or to delete when there is no value.
type Change<'py> = (Bound<'py, PyBytes>, Option<Bound<'py, PyBytes>>);

fn load_rows(rows: &Bound<'_, PyAny>) -> PyResult<Loader> {
    let mut loader = Loader::default();
    for row in PyIterator::from_object(rows)? {
        let row = row?;
        let (key, value): (Blob, Blob) = row.extract()?;
        call(|| loader.row(key.as_ref(), value.as_ref()))?;
    }
    Ok(loader)
}

/// The chain state machine.
#[pyclass(frozen, module = "ledger._native")]
pub struct Chain(pub Arc<engine::Chain>);

#[pymethods]
impl Chain {
    #[staticmethod]
    fn genesis<'py>(py: Python<'py>, genesis: Bytes<'_>) -> PyResult<(Self, Vec<Row<'py>>)> {
        let file = genesis.0.to_vec();
        let (chain, rows) = call_detached(py, move || engine::Chain::genesis(&file))?;
        // A genesis deletes nothing.
        let rows = rows.into_iter().filter_map(|(key, value)| value.map(|value| (key, value)));
        let rows = rows.map(|(key, value)| (PyBytes::new(py, &key), PyBytes::new(py, &value))).collect();
        Ok((Self(Arc::new(chain)), rows))
    }

    #[staticmethod]
    fn load(py: Python<'_>, genesis: Bytes<'_>, rows: &Bound<'_, PyAny>) -> PyResult<Self> {
        let loader = load_rows(rows)?;
        let file = genesis.0.to_vec();
        Ok(Self(Arc::new(call_detached(py, move || engine::Chain::load(&file, loader))?)))
    }

    #[staticmethod]
    fn recover<'py>(
        py: Python<'py>,
        genesis: Bytes<'_>,
        rows: &Bound<'py, PyAny>,
    ) -> PyResult<(Self, Vec<Change<'py>>)> {
        let loader = load_rows(rows)?;
        let file = genesis.0.to_vec();
        let (chain, rows) = call_detached(py, move || engine::Chain::recovered(&file, loader))?;
        let change = |(key, value): (Vec<u8>, Option<Vec<u8>>)| {
            (PyBytes::new(py, &key), value.map(|value| PyBytes::new(py, &value)))
        };
        Ok((Self(Arc::new(chain)), rows.into_iter().map(change).collect()))
    }

    #[pyo3(signature = (txs, time_ms, consensus_height, cap = Count(u64::MAX)))]
    fn execute(
        &self,
        py: Python<'_>,
        txs: Vec<Blob>,
        time_ms: Count,
        consensus_height: Count,
        cap: Count,
    ) -> PyResult<Option<ExecutedBlock>> {
        let cap = usize::try_from(cap.0).unwrap_or(usize::MAX);
        let block = call_detached(py, || self.0.execute(&txs, time_ms.0, consensus_height.0, cap))?;
        Ok(block.map(ExecutedBlock))
    }

    fn verify_block(&self, py: Python<'_>, header: Bytes<'_>, txs: Vec<Blob>) -> PyResult<ExecutedBlock> {
        call_detached(py, || self.0.verify_block(header.0, &txs)).map(ExecutedBlock)
    }

    fn commit(&self, py: Python<'_>) -> PyResult<()> {
        call_detached(py, || self.0.commit())
    }

    fn check_tx<'py>(&self, py: Python<'py>, raw: Bytes<'_>) -> PyResult<Checked<'py>> {
        let (hash, from, nonce) = call_detached(py, || self.0.check_tx(raw.0))?;
        taken(py, &hash, &from, nonce)
    }

    fn check_txs<'py>(&self, py: Python<'py>, raws: Vec<Blob>) -> PyResult<Vec<Checked<'py>>> {
        let judged =
            call_detached(py, || Ok(raws.par_iter().map(|raw| self.0.check_tx(raw.as_ref())).collect::<Vec<_>>()))?;
        let answer = |judged| match judged {
            Ok((hash, from, nonce)) => taken(py, &hash, &from, nonce),
            Err(Error { code, message, .. }) => (code, message).into_pyobject(py),
        };
        judged.into_iter().map(answer).collect()
    }

    fn genesis_digest<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.genesis_digest().as_slice())
    }

    fn chain_id(&self) -> u64 {
        self.0.limits().chain_id
    }

    fn height(&self) -> u64 {
        self.0.head().sealed.header.number
    }

    fn head<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let sealed = &self.0.head().sealed;
        let out = PyDict::new(py);
        out.set_item("height", sealed.header.number)?;
        out.set_item("hash", PyBytes::new(py, sealed.hash.as_slice()))?;
        out.set_item("state_root", PyBytes::new(py, sealed.header.state_root.as_slice()))?;
        out.set_item("time", sealed.header.timestamp)?;
        out.set_item("header", PyBytes::new(py, &sealed.rlp))?;
        Ok(out)
    }

    fn oldest_provable(&self) -> u64 {
        self.0.oldest()
    }

    #[pyo3(signature = (address, height = None))]
    fn account<'py>(&self, py: Python<'py>, address: Fixed<20>, height: Option<Count>) -> PyResult<Bound<'py, PyDict>> {
        let snapshot = self.at(py, height)?;
        let account = snapshot.state.account(&Address::from(address.0)).cloned().unwrap_or_default();
        let out = PyDict::new(py);
        out.set_item("nonce", account.fields.nonce)?;
        out.set_item("balance", whole_number(py, account.fields.balance)?)?;
        out.set_item("code_hash", PyBytes::new(py, account.fields.code_hash.as_slice()))?;
        out.set_item("storage_hash", PyBytes::new(py, account.storage.root().as_slice()))?;
        Ok(out)
    }

    #[pyo3(signature = (address, height = None))]
    fn code<'py>(&self, py: Python<'py>, address: Fixed<20>, height: Option<Count>) -> PyResult<Bound<'py, PyBytes>> {
        let snapshot = self.at(py, height)?;
        let account = snapshot.state.account(&Address::from(address.0));
        let code = account.and_then(|account| snapshot.state.code(&account.fields.code_hash));
        Ok(PyBytes::new(py, &code.map(|code| code.bytes()).unwrap_or_default()))
    }

    #[pyo3(signature = (address, slot, height = None))]
    fn storage<'py>(
        &self,
        py: Python<'py>,
        address: Fixed<20>,
        slot: Fixed<32>,
        height: Option<Count>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let snapshot = self.at(py, height)?;
        let value = snapshot.state.storage(&Address::from(address.0), U256::from_be_bytes(slot.0));
        Ok(PyBytes::new(py, &value.to_be_bytes::<32>()))
    }

    #[pyo3(signature = (to, data, sender = Fixed([0; 20]), value = 0, gas = None, height = None))]
    #[allow(clippy::too_many_arguments)]
    fn call<'py>(
        &self,
        py: Python<'py>,
        to: Option<Fixed<20>>,
        data: Bytes<'_>,
        sender: Fixed<20>,
        value: u128,
        gas: Option<Count>,
        height: Option<Count>,
    ) -> PyResult<(bool, Bound<'py, PyBytes>, u64)> {
        let snapshot = self.at(py, height)?;
        let request = request(to, data.0, sender, value, gas);
        let outcome = call_detached(py, || self.0.call(&snapshot, &request))?;
        Ok((outcome.success, PyBytes::new(py, &outcome.output), outcome.gas_used))
    }

    fn call_many<'py>(
        &self,
        py: Python<'py>,
        calls: Vec<(Fixed<20>, Blob)>,
    ) -> PyResult<Vec<(bool, Bound<'py, PyBytes>)>> {
        let snapshot = self.0.head();
        let requests: Vec<_> =
            calls.into_iter().map(|(to, data)| request(Some(to), data.as_ref(), Fixed([0; 20]), 0, None)).collect();
        let outcomes = call_detached(py, || {
            requests.par_iter().map(|request| self.0.call(&snapshot, request)).collect::<Result<Vec<_>, _>>()
        })?;
        Ok(outcomes.into_iter().map(|outcome| (outcome.success, PyBytes::new(py, &outcome.output))).collect())
    }

    #[pyo3(signature = (to, data, sender, value = 0))]
    fn estimate_gas(
        &self,
        py: Python<'_>,
        to: Option<Fixed<20>>,
        data: Bytes<'_>,
        sender: Fixed<20>,
        value: u128,
    ) -> PyResult<u64> {
        let request = request(to, data.0, sender, value, None);
        call_detached(py, || self.0.estimate_gas(&self.0.head(), &request))
    }

    #[pyo3(signature = (address, slots, height = None))]
    fn proof<'py>(
        &self,
        py: Python<'py>,
        address: Fixed<20>,
        slots: Vec<Fixed<32>>,
        height: Option<Count>,
    ) -> PyResult<Bound<'py, PyDict>> {
        call(|| match slots.len() {
            0..=1024 => Ok(()),
            many => Err(Error::new(Class::InvalidInput, "proof.slots", "a proof takes at most 1,024 slots")
                .numbers(1024, many as u64)),
        })?;
        let snapshot = self.at(py, height)?;
        let address = Address::from(address.0);
        let account = snapshot.state.account(&address).cloned().unwrap_or_default();
        let nodes =
            |proof: &[alloy_primitives::Bytes]| proof.iter().map(|node| PyBytes::new(py, node)).collect::<Vec<_>>();
        let mut storage = Vec::with_capacity(slots.len());
        for slot in &slots {
            let entry = PyDict::new(py);
            let value = account.slot(U256::from_be_bytes(slot.0));
            entry.set_item("key", PyBytes::new(py, &slot.0))?;
            entry.set_item("value", PyBytes::new(py, &value.to_be_bytes::<32>()))?;
            entry.set_item("proof", nodes(&account.storage.prove(&keccak256(slot.0))))?;
            storage.push(entry);
        }
        let out = PyDict::new(py);
        out.set_item("height", snapshot.sealed.header.number)?;
        out.set_item("address", PyBytes::new(py, address.as_slice()))?;
        out.set_item("nonce", account.fields.nonce)?;
        out.set_item("balance", whole_number(py, account.fields.balance)?)?;
        out.set_item("code_hash", PyBytes::new(py, account.fields.code_hash.as_slice()))?;
        out.set_item("storage_hash", PyBytes::new(py, account.storage.root().as_slice()))?;
        out.set_item("account_proof", nodes(&snapshot.state.prove(&address)))?;
        out.set_item("storage", storage)?;
        Ok(out)
    }
}

impl Chain {
    fn at(&self, py: Python<'_>, height: Option<Count>) -> PyResult<Arc<Snapshot>> {
        call_detached(py, || self.0.at_height(height.map(|height| height.0)))
    }
}

fn request(to: Option<Fixed<20>>, data: &[u8], sender: Fixed<20>, value: u128, gas: Option<Count>) -> Call {
    Call {
        from: Address::from(sender.0),
        to: to.map(|to| Address::from(to.0)),
        input: data.to_vec().into(),
        value: U256::from(value),
        gas: gas.map(|gas| gas.0),
    }
}

fn taken<'py>(py: Python<'py>, hash: &B256, from: &Address, nonce: u64) -> PyResult<Checked<'py>> {
    (PyBytes::new(py, hash.as_slice()), PyBytes::new(py, from.as_slice()), nonce).into_pyobject(py)
}
