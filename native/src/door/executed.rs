//! Executed blocks, and headers, transactions and proofs taken apart, for Python.

use std::sync::Arc;

use alloy_primitives::{B256, U256};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyInt, PyList};

use super::args::{Bytes, Fixed};
use super::blob::Blob;
use super::fault::call;
use crate::chain::block::{Included, Sealed};
use crate::chain::engine::Executed;
use crate::chain::proof;
use crate::chain::tx::Transaction;

/// Longest transaction taken apart: the most a genesis file can allow.
const MAX_TX: usize = 1 << 20;

/// A pending block. It stays readable after its commit; it does not hold the state.
#[pyclass(frozen, module = "ledger._native")]
pub struct ExecutedBlock(pub Arc<Executed>);

#[pymethods]
impl ExecutedBlock {
    #[getter]
    fn height(&self) -> u64 {
        self.0.sealed.header.number
    }

    #[getter]
    fn hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.sealed.hash.as_slice())
    }

    #[getter]
    fn header<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.sealed.rlp)
    }

    #[getter]
    fn state_root<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.sealed.header.state_root.as_slice())
    }

    #[getter]
    fn time(&self) -> u64 {
        self.0.sealed.header.timestamp
    }

    #[getter]
    fn transactions<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.0.included.iter().map(|included| PyBytes::new(py, &included.tx.raw)).collect()
    }

    #[getter]
    fn refused(&self) -> Vec<(usize, &'static str, String)> {
        self.0.refused.iter().map(|(index, error)| (*index, error.code, error.message.clone())).collect()
    }

    #[getter]
    fn receipts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let receipts: Vec<_> = self.0.included.iter().map(|included| receipt(py, included)).collect::<PyResult<_>>()?;
        PyList::new(py, receipts)
    }

    #[getter]
    fn writes<'py>(&self, py: Python<'py>) -> Vec<(Bound<'py, PyBytes>, Option<Bound<'py, PyBytes>>)> {
        let row = |(key, value): &(Vec<u8>, Option<Vec<u8>>)| {
            (PyBytes::new(py, key), value.as_ref().map(|value| PyBytes::new(py, value)))
        };
        self.0.writes.iter().map(row).collect()
    }
}

fn receipt<'py>(py: Python<'py>, included: &Included) -> PyResult<Bound<'py, PyDict>> {
    let outcome = &included.outcome;
    let mut logs = Vec::with_capacity(outcome.logs.len());
    for log in &outcome.logs {
        let entry = PyDict::new(py);
        let topics: Vec<_> = log.data.topics().iter().map(|topic| PyBytes::new(py, topic.as_slice())).collect();
        entry.set_item("address", PyBytes::new(py, log.address.as_slice()))?;
        entry.set_item("topics", topics)?;
        entry.set_item("data", PyBytes::new(py, &log.data.data))?;
        logs.push(entry);
    }
    let out = PyDict::new(py);
    out.set_item("hash", PyBytes::new(py, included.tx.hash.as_slice()))?;
    out.set_item("from", PyBytes::new(py, included.from.as_slice()))?;
    out.set_item("to", included.tx.to.map(|to| PyBytes::new(py, to.as_slice())))?;
    out.set_item("nonce", included.tx.nonce)?;
    out.set_item("status", u8::from(outcome.success))?;
    out.set_item("gas_used", outcome.gas_used)?;
    out.set_item("cumulative_gas_used", included.cumulative_gas)?;
    out.set_item("contract", outcome.created.map(|made| PyBytes::new(py, made.as_slice())))?;
    out.set_item("logs", logs)?;
    out.set_item("output", PyBytes::new(py, &outcome.output))?;
    Ok(out)
}

/// Take a header apart.
#[pyfunction]
pub fn header_fields<'py>(py: Python<'py>, header: Bytes<'_>) -> PyResult<Bound<'py, PyDict>> {
    let sealed = call(|| Sealed::decode(header.0))?;
    let fields = &sealed.header;
    let bytes = |value: B256| PyBytes::new(py, value.as_slice());
    let out = PyDict::new(py);
    out.set_item("hash", bytes(sealed.hash))?;
    out.set_item("parent", bytes(fields.parent_hash))?;
    out.set_item("state_root", bytes(fields.state_root))?;
    out.set_item("transactions_root", bytes(fields.transactions_root))?;
    out.set_item("receipts_root", bytes(fields.receipts_root))?;
    out.set_item("height", fields.number)?;
    out.set_item("gas_limit", fields.gas_limit)?;
    out.set_item("gas_used", fields.gas_used)?;
    out.set_item("time", fields.timestamp)?;
    out.set_item("consensus_height", sealed.consensus_height())?;
    Ok(out)
}

/// Take a transaction apart and recover its sender.
#[pyfunction]
pub fn transaction_fields<'py>(py: Python<'py>, raw: Bytes<'_>) -> PyResult<Bound<'py, PyDict>> {
    let (tx, from) = call(|| {
        let tx = Transaction::decode(raw.0, MAX_TX)?;
        let from = tx.recover()?;
        Ok((tx, from))
    })?;
    let (r, s, odd) = tx.signature();
    // As signed: EIP-155 for legacy transactions, the parity for the typed ones.
    let v = if tx.kind == 0 { u128::from(tx.chain_id) * 2 + 35 + u128::from(odd) } else { u128::from(odd) };
    let list: Vec<_> = tx
        .access_list()
        .into_iter()
        .map(|(address, slots)| {
            let slots: Vec<_> = slots.iter().map(|slot| PyBytes::new(py, slot.as_slice())).collect();
            (PyBytes::new(py, address.as_slice()), slots)
        })
        .collect();
    let typed = tx.kind == 2;
    let out = PyDict::new(py);
    out.set_item("hash", PyBytes::new(py, tx.hash.as_slice()))?;
    out.set_item("type", tx.kind)?;
    out.set_item("from", PyBytes::new(py, from.as_slice()))?;
    out.set_item("to", tx.to.map(|to| PyBytes::new(py, to.as_slice())))?;
    out.set_item("nonce", tx.nonce)?;
    out.set_item("gas", tx.gas)?;
    out.set_item("gas_price", tx.gas_price())?;
    out.set_item("max_fee", typed.then(|| tx.max_fee()))?;
    out.set_item("max_priority_fee", tx.max_priority_fee())?;
    out.set_item("value", whole_number(py, tx.value)?)?;
    out.set_item("input", PyBytes::new(py, &tx.input))?;
    out.set_item("chain_id", tx.chain_id)?;
    out.set_item("r", whole_number(py, r)?)?;
    out.set_item("s", whole_number(py, s)?)?;
    out.set_item("v", v)?;
    out.set_item("access_list", list)?;
    Ok(out)
}

/// Check an account proof.
#[pyfunction]
pub fn verify_account<'py>(
    py: Python<'py>,
    state_root: Fixed<32>,
    address: Fixed<20>,
    proof: Vec<Blob>,
) -> PyResult<Bound<'py, PyDict>> {
    let account = call(|| proof::verify_account(B256::from(state_root.0), &address.0, &proof))?;
    let out = PyDict::new(py);
    out.set_item("nonce", account.nonce)?;
    out.set_item("balance", whole_number(py, account.balance)?)?;
    out.set_item("code_hash", PyBytes::new(py, account.code_hash.as_slice()))?;
    out.set_item("storage_hash", PyBytes::new(py, account.storage_hash.as_slice()))?;
    Ok(out)
}

/// Check a storage proof.
#[pyfunction]
pub fn verify_storage<'py>(
    py: Python<'py>,
    storage_hash: Fixed<32>,
    slot: Fixed<32>,
    proof: Vec<Blob>,
) -> PyResult<Bound<'py, PyBytes>> {
    let value = call(|| proof::verify_storage(B256::from(storage_hash.0), B256::from(slot.0), &proof))?;
    Ok(PyBytes::new(py, &value.to_be_bytes::<32>()))
}

/// A 256-bit number as a Python int.
pub fn whole_number(py: Python<'_>, value: U256) -> PyResult<Bound<'_, PyAny>> {
    match u64::try_from(value) {
        Ok(small) => Ok(small.into_pyobject(py)?.into_any()),
        Err(_) => {
            py.get_type::<PyInt>().call_method1("from_bytes", (PyBytes::new(py, &value.to_be_bytes::<32>()), "big"))
        }
    }
}
