//! The door to answers that are put together natively.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyDict};

use super::args::Bytes;
use super::fault::{call, call_detached};
use super::licence::{Answer, LicenceKeys, OpenedLicences};
use crate::error::{Class, Error, Result};
use crate::licence::batch::{self, Found};
use crate::licence::json::Value;
use crate::licence::reading::{self, Said};
use crate::licence::ready::{self, Frame};

/// Adds this area's functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ReadyVerdicts>()?;
    module.add_function(wrap_pyfunction!(licence_alone, module)?)
}

/// The licence in a serialised request that holds nothing else.
#[pyfunction]
fn licence_alone(message: Bytes<'_>) -> Option<&str> {
    ready::alone(message.0)
}

/// Frames kept: issuers' keys, their types and lists in use within two seconds.
const MAX_FRAMES: usize = 256;

type Kept = Frame<PyBackedBytes>;
/// A span of issue with its line.
type Span = (i64, i64, Vec<u8>);

/// Answers about sound licences.
#[pyclass(frozen, module = "ledger._native")]
pub struct ReadyVerdicts {
    typ: String,
    heads: HashMap<String, Vec<u8>>,
    frames: RwLock<HashMap<String, Arc<Kept>>>,
}

#[pymethods]
impl ReadyVerdicts {
    #[new]
    fn new(typ: String, heads: &Bound<'_, PyDict>) -> PyResult<Self> {
        let mut known = HashMap::with_capacity(heads.len());
        for (name, head) in heads {
            known.insert(name.extract::<String>()?, head.extract::<Bytes<'_>>()?.0.to_vec());
        }
        Ok(Self { typ, heads: known, frames: RwLock::default() })
    }

    #[allow(clippy::too_many_arguments)]
    #[pyo3(signature = (name, *, times, pieces, spans, until, endless, holder, view, bits, entries))]
    fn learn(
        &self,
        name: (String, String, String, String),
        times: (i64, i64),
        pieces: [Vec<u8>; ready::PIECES],
        spans: Vec<Span>,
        until: Vec<Vec<u8>>,
        endless: Vec<u8>,
        holder: [Vec<u8>; 2],
        view: i64,
        bits: usize,
        entries: PyBackedBytes,
    ) -> PyResult<()> {
        let spans = spans.into_iter().map(|(from, until, line)| (from..until, line)).collect();
        let times = times.0..times.1;
        let frame = Frame { times, pieces, spans, until, endless, holder, view, bits, list: entries };
        call(|| {
            let mut frames = self.frames.write().map_err(|_| poisoned())?;
            let now = frame.times.start;
            if frames.len() >= MAX_FRAMES {
                frames.retain(|_, kept| kept.times.contains(&now));
            }
            if frames.len() < MAX_FRAMES {
                frames.insert(joined([&name.0, &name.1, &name.2, &name.3]), Arc::new(frame));
            }
            Ok(())
        })
    }

    fn knows(&self, name: (String, String, String, String), now: i64) -> PyResult<bool> {
        call(|| {
            let kept = self.kept(&joined([&name.0, &name.1, &name.2, &name.3]))?;
            Ok(kept.is_some_and(|frame| frame.times.contains(&now)))
        })
    }

    fn answer<'py>(&self, py: Python<'py>, text: &str, keys: &LicenceKeys, now: i64) -> PyResult<Bound<'py, PyAny>> {
        // Others need the interpreter more than this one, which is away for as long as a signature takes to verify.
        let (opened, answer) = call_detached(py, || {
            // What is not ASCII is no licence: the Python code says what is wrong with it.
            let opened = if text.is_ascii() { batch::read(&[text], &keys.0, &self.typ).pop() } else { None };
            let whole = opened.as_ref().and_then(|opened| whole(opened, text));
            let answer = whole.map_or(Ok(None), |(found, said)| self.answered(found, said, now))?;
            Ok((opened, answer))
        })?;
        match answer {
            Some(answer) => Ok(PyBytes::new(py, &answer).into_any()),
            None => Ok(Bound::new(py, OpenedLicences(vec![opened]))?.into_any()),
        }
    }
}

impl ReadyVerdicts {
    fn answered(&self, found: &Found, said: &Said, now: i64) -> Result<Option<Vec<u8>>> {
        let claims = &found.opened.claims;
        let text = |name: &str| claims.get(name).and_then(Value::text);
        let (Some(iss), Some(vct), Some(uri)) = (text("iss"), text("vct"), reading::address(claims)) else {
            return Ok(None);
        };
        let frame = self.kept(&joined([&found.kid, iss, vct, uri]))?;
        Ok(frame.and_then(|frame| frame.answer(found, said, &self.heads, now)))
    }

    fn kept(&self, name: &str) -> Result<Option<Arc<Kept>>> {
        Ok(self.frames.read().map_err(|_| poisoned())?.get(name).map(Arc::clone))
    }
}

/// What is as licences are made, and not followed by a key binding.
fn whole<'a>(opened: &'a Answer, text: &str) -> Option<(&'a Found, &'a Said)> {
    match opened {
        Ok((found, Some(said))) if found.presented == text.len() => Some((found, said)),
        _ => None,
    }
}

/// What Python made ready holds no zero character, so that the joined text names the same four.
fn joined(names: [&str; 4]) -> String {
    names.join("\0")
}

fn poisoned() -> Error {
    Error::new(Class::Fatal, "native.panic", "another thread failed while it changed what is ready")
        .hint("restart the process; report this with the message")
}
