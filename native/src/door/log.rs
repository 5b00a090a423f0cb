//! The log engine of the door.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyDict, PyList};

use super::args::{Bytes, Count, Fixed, byte_strings};
use super::fault::{call, call_detached};
use super::merkle::hash_list;
use super::records::RecordSchema;
use crate::error::{Class, Error, Result};
use crate::log::storage::Folder;
use crate::log::view::{self, Entries};
use crate::log::{self, Options, Pending, index};

/// Adds this area's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<LogEngine>()?;
    module.add_class::<LogReader>()?;
    module.add_class::<FsckProgress>()?;
    module.add_class::<PendingAppend>()?;
    module.add_function(wrap_pyfunction!(log_fsck, module)?)
}

#[pyclass(frozen, module = "ledger._native")]
struct LogEngine(Arc<log::LogEngine>);

#[pymethods]
impl LogEngine {
    #[staticmethod]
    #[pyo3(signature = (path, *, pool_bytes = Count(64 << 20), now_ms = Count(0)))]
    fn open(py: Python<'_>, path: &str, pool_bytes: Count, now_ms: Count) -> PyResult<Self> {
        let pool_bytes = usize::try_from(pool_bytes.0).unwrap_or(usize::MAX);
        let options = Options { pool_bytes, now_ms: now_ms.0 };
        call_detached(py, || log::LogEngine::open(Arc::new(Folder::lock(Path::new(path))?), options))
            .map(|engine| Self(Arc::new(engine)))
    }

    fn append(&self, py: Python<'_>, entry: Bytes<'_>) -> PyResult<u64> {
        call_detached(py, || Ok(self.0.append(&[entry.0], None)?.0))
    }

    #[pyo3(signature = (entries, batch_id = None, now_ms = Count(0)))]
    fn append_batch(
        &self,
        py: Python<'_>,
        entries: &Bound<'_, PyAny>,
        batch_id: Option<Fixed<16>>,
        now_ms: Count,
    ) -> PyResult<(u64, u64)> {
        let held = byte_strings(entries)?;
        let entries: Vec<&[u8]> = held.iter().map(|entry| entry.as_bytes()).collect();
        call_detached(py, || self.0.append(&entries, batch_id.map(|id| (id.0, now_ms.0))))
    }

    #[pyo3(signature = (entries, batch_id = None, now_ms = Count(0)))]
    fn append_records(
        &self,
        py: Python<'_>,
        entries: &Bound<'_, PyAny>,
        batch_id: Option<Fixed<16>>,
        now_ms: Count,
    ) -> PyResult<(u64, u64)> {
        let held = byte_strings(entries)?;
        let entries: Vec<&[u8]> = held.iter().map(|entry| entry.as_bytes()).collect();
        call_detached(py, || self.0.append_records(&entries, batch_id.map(|id| (id.0, now_ms.0))))
    }

    #[pyo3(signature = (entries, batch_id = None, now_ms = Count(0), schema = None))]
    fn begin_records(
        &self,
        py: Python<'_>,
        entries: &Bound<'_, PyAny>,
        batch_id: Option<Fixed<16>>,
        now_ms: Count,
        schema: Option<&RecordSchema>,
    ) -> PyResult<PendingAppend> {
        let held = byte_strings(entries)?;
        let entries: Vec<&[u8]> = held.iter().map(|entry| entry.as_bytes()).collect();
        let batch = batch_id.map(|id| (id.0, now_ms.0));
        let schema = schema.map(|schema| &schema.0);
        let pending = call_detached(py, || self.0.begin_records(&entries, batch, schema))?;
        // A repeat of an id is compared with what is in the log.
        let entries = if batch.is_some() { held.into_iter().map(PyBackedBytes::from).collect() } else { Vec::new() };
        Ok(PendingAppend { engine: Arc::clone(&self.0), pending: Mutex::new(Some((pending, entries))) })
    }

    fn size(&self) -> PyResult<u64> {
        call(|| Ok(self.0.size()))
    }

    #[pyo3(signature = (size = None))]
    fn root<'py>(&self, py: Python<'py>, size: Option<Count>) -> PyResult<Bound<'py, PyBytes>> {
        let root = call_detached(py, || self.0.root(size.map(|size| size.0)))?;
        Ok(PyBytes::new(py, &root))
    }

    fn leaf<'py>(&self, py: Python<'py>, index: Count) -> PyResult<Bound<'py, PyBytes>> {
        let hash = call_detached(py, || self.0.leaf(index.0))?;
        Ok(PyBytes::new(py, &hash))
    }

    fn inclusion_proof<'py>(&self, py: Python<'py>, index: Count, size: Count) -> PyResult<Bound<'py, PyList>> {
        hash_list(py, &call_detached(py, || self.0.inclusion_proof(index.0, size.0))?)
    }

    fn consistency_proof<'py>(&self, py: Python<'py>, size1: Count, size2: Count) -> PyResult<Bound<'py, PyList>> {
        hash_list(py, &call_detached(py, || self.0.consistency_proof(size1.0, size2.0))?)
    }

    fn read<'py>(&self, py: Python<'py>, first: Count, count: Count) -> PyResult<Bound<'py, PyList>> {
        entry_list(py, call_detached(py, || self.0.read(first.0, count.0))?)
    }

    fn index_rows<'py>(&self, py: Python<'py>, first: Count, count: Count) -> PyResult<Bound<'py, PyList>> {
        row_list(py, call_detached(py, || self.0.index_rows(first.0, count.0))?)
    }

    fn hash_tile<'py>(
        &self,
        py: Python<'py>,
        level: Count,
        index: Count,
        width: Count,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let tile = call_detached(py, || self.0.hash_tile(level.0, index.0, width.0))?;
        Ok(PyBytes::new(py, &tile))
    }

    fn entry_tile<'py>(&self, py: Python<'py>, index: Count, width: Count) -> PyResult<Bound<'py, PyBytes>> {
        let tile = call_detached(py, || self.0.entry_tile(index.0, width.0))?;
        Ok(PyBytes::new(py, &tile))
    }

    fn check(&self) -> PyResult<()> {
        call(|| self.0.check())
    }

    fn stat<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stat = call(|| Ok(self.0.stat()))?;
        let figures = PyDict::new(py);
        figures.set_item("size", stat.progress.durable)?;
        figures.set_item("entries_bytes", stat.progress.entries_bytes)?;
        figures.set_item("commits", stat.progress.commits)?;
        figures.set_item("watermark", stat.progress.watermark)?;
        figures.set_item("pool_bytes", stat.pool_bytes)?;
        figures.set_item("batches", stat.progress.batches)?;
        Ok(figures)
    }

    fn sync(&self, py: Python<'_>) -> PyResult<()> {
        call_detached(py, || self.0.sync())
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        call_detached(py, || self.0.close())
    }
}

#[pyclass(frozen, module = "ledger._native")]
struct PendingAppend {
    engine: Arc<log::LogEngine>,
    pending: Mutex<Option<(Pending, Vec<PyBackedBytes>)>>,
}

#[pymethods]
impl PendingAppend {
    fn result(&self, py: Python<'_>) -> PyResult<(u64, u64)> {
        call_detached(py, || {
            let taken = self.pending.lock().unwrap_or_else(PoisonError::into_inner).take();
            let (pending, held) = taken.ok_or_else(|| {
                Error::new(Class::InvalidInput, "log.answered", "the answer of this append was taken before")
                    .hint("keep the first answer")
            })?;
            let entries: Vec<&[u8]> = held.iter().map(|entry| &**entry).collect();
            self.engine.finish(&pending, &entries)
        })
    }
}

#[pyclass(frozen, module = "ledger._native")]
struct LogReader(view::LogReader);

impl LogReader {
    fn upto(&self, size: u64) -> Result<u64> {
        if size <= self.0.size() {
            return Ok(size);
        }
        Err(Error::new(Class::NotFound, "log.range", "the reader was not opened for so many entries")
            .hint("open a reader at the size of a newer checkpoint")
            .numbers(self.0.size(), size))
    }
}

#[pymethods]
impl LogReader {
    #[staticmethod]
    fn open(py: Python<'_>, path: &str, size: Count) -> PyResult<Self> {
        call_detached(py, || view::LogReader::open(Path::new(path), size.0)).map(Self)
    }

    fn size(&self) -> PyResult<u64> {
        call(|| Ok(self.0.size()))
    }

    #[pyo3(signature = (size = None))]
    fn root<'py>(&self, py: Python<'py>, size: Option<Count>) -> PyResult<Bound<'py, PyBytes>> {
        let root = call_detached(py, || {
            let size = self.upto(size.map_or(self.0.size(), |size| size.0))?;
            self.0.view().root(size)
        })?;
        Ok(PyBytes::new(py, &root))
    }

    fn leaf<'py>(&self, py: Python<'py>, index: Count) -> PyResult<Bound<'py, PyBytes>> {
        let hash = call_detached(py, || self.0.view().leaf(index.0, self.0.size()))?;
        Ok(PyBytes::new(py, &hash))
    }

    fn inclusion_proof<'py>(&self, py: Python<'py>, index: Count, size: Count) -> PyResult<Bound<'py, PyList>> {
        hash_list(py, &call_detached(py, || self.0.view().inclusion_proof(index.0, self.upto(size.0)?))?)
    }

    fn consistency_proof<'py>(&self, py: Python<'py>, size1: Count, size2: Count) -> PyResult<Bound<'py, PyList>> {
        hash_list(py, &call_detached(py, || self.0.view().consistency_proof(size1.0, self.upto(size2.0)?))?)
    }

    fn read<'py>(&self, py: Python<'py>, first: Count, count: Count) -> PyResult<Bound<'py, PyList>> {
        entry_list(py, call_detached(py, || self.0.view().read(first.0, count.0, self.0.size()))?)
    }

    fn index_rows<'py>(&self, py: Python<'py>, first: Count, count: Count) -> PyResult<Bound<'py, PyList>> {
        row_list(py, call_detached(py, || index::rows(self.0.view(), first.0, count.0, self.0.size()))?)
    }

    fn hash_tile<'py>(
        &self,
        py: Python<'py>,
        level: Count,
        index: Count,
        width: Count,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let tile = call_detached(py, || self.0.view().hash_tile(level.0, index.0, width.0, self.0.size()))?;
        Ok(PyBytes::new(py, &tile))
    }

    fn entry_tile<'py>(&self, py: Python<'py>, index: Count, width: Count) -> PyResult<Bound<'py, PyBytes>> {
        let tile = call_detached(py, || self.0.view().entry_tile(index.0, width.0, self.0.size()))?;
        Ok(PyBytes::new(py, &tile))
    }
}

/// How many entries a check is through with.
#[pyclass(frozen, module = "ledger._native")]
struct FsckProgress(AtomicU64);

#[pymethods]
impl FsckProgress {
    #[new]
    fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    fn done(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[pyfunction]
#[pyo3(signature = (path, first = Count(0), progress = None))]
fn log_fsck<'py>(
    py: Python<'py>,
    path: &str,
    first: Count,
    progress: Option<&Bound<'py, FsckProgress>>,
) -> PyResult<Bound<'py, PyDict>> {
    let unseen = AtomicU64::new(0);
    let done = progress.map_or(&unseen, |progress| &progress.get().0);
    let report = call_detached(py, || log::fsck::fsck_told(Path::new(path), first.0, done))?;
    let problems = report
        .problems
        .iter()
        .map(|problem| {
            let row = PyDict::new(py);
            row.set_item("file", &problem.file)?;
            row.set_item("index", problem.index)?;
            row.set_item("detail", &problem.detail)?;
            Ok(row)
        })
        .collect::<PyResult<Vec<_>>>()?;
    let answer = PyDict::new(py);
    answer.set_item("ok", problems.is_empty())?;
    answer.set_item("size", report.size)?;
    answer.set_item("root", alloy_primitives::hex::encode(report.root))?;
    answer.set_item("problems", problems)?;
    Ok(answer)
}

fn row_list(py: Python<'_>, rows: Vec<index::Row>) -> PyResult<Bound<'_, PyList>> {
    PyList::new(py, rows.iter().map(|(key, value)| (PyBytes::new(py, key), PyBytes::new(py, value))))
}

fn entry_list(py: Python<'_>, (bytes, ranges): Entries) -> PyResult<Bound<'_, PyList>> {
    PyList::new(py, ranges.into_iter().map(|(from, to)| PyBytes::new(py, &bytes[from..to])))
}
