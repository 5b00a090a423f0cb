//! The licences of the door.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use super::args::{Bytes, Fixed};
use super::fault::{call, call_detached, contain};
use crate::error::{Class, Error, Result};
use crate::licence::batch::{self, Found, Refused};
use crate::licence::json::Value;
use crate::licence::opening::{Disclosure, Step};
use crate::licence::reading::{self, Said};
use crate::licence::sm;
use crate::licence::suite::Key;

/// Adds this area's functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(sm3_digest, module)?)?;
    module.add_function(wrap_pyfunction!(sm2_public, module)?)?;
    module.add_function(wrap_pyfunction!(sm2_sign, module)?)?;
    module.add_function(wrap_pyfunction!(sm2_verify, module)?)?;
    module.add_class::<LicenceKeys>()?;
    module.add_class::<PendingLicences>()?;
    module.add_class::<OpenedLicences>()?;
    module.add_function(wrap_pyfunction!(licence_begin, module)?)?;
    super::ready::register(module)
}

/// Issuers' keys by kid, read once for as many batches as they are known for.
#[pyclass(frozen, module = "ledger._native")]
pub struct LicenceKeys(pub(super) Arc<HashMap<String, Key>>);

#[pymethods]
impl LicenceKeys {
    #[new]
    fn new(keys: &Bound<'_, PyDict>) -> PyResult<Self> {
        let mut known = HashMap::with_capacity(keys.len());
        for (kid, spki) in keys {
            known.insert(kid.extract::<String>()?, Key::read(spki.extract::<Bytes<'_>>()?.0));
        }
        Ok(Self(Arc::new(known)))
    }
}

#[pyfunction]
fn licence_begin(texts: Vec<Bound<'_, PyString>>, keys: &LicenceKeys, typ: String) -> PyResult<PendingLicences> {
    // What is not ASCII is no licence; where it fails is for the Python code to say, which counts in characters.
    let texts: Vec<Option<String>> =
        texts.iter().map(|text| text.to_str().ok().filter(|text| text.is_ascii()).map(str::to_owned)).collect();
    let count = texts.len();
    let known = Arc::clone(&keys.0);
    let (done, waiting) = channel();
    let work = move || {
        let opened = contain(|| {
            let plain: Vec<&str> = texts.iter().flatten().map(String::as_str).collect();
            let mut opened = batch::read(&plain, &known, &typ).into_iter();
            Ok(texts.iter().map(|text| text.as_ref().and_then(|_| opened.next())).collect())
        });
        // Nobody waits any more: then nobody needs it.
        drop(done.send(opened));
    };
    // One alone is opened sooner than handed over, and sooner than another thread could take the interpreter and give it back.
    if count > 1 {
        rayon::spawn(work)
    } else {
        work()
    }
    Ok(PendingLicences(Mutex::new(waiting)))
}

/// An answer for every text, none where it is not ASCII.
pub(super) type Answers = Vec<Option<Answer>>;
pub(super) type Answer = std::result::Result<(Found, Option<Said>), Refused>;

/// Presentations that are being opened.
#[pyclass(frozen, module = "ledger._native")]
pub struct PendingLicences(Mutex<Receiver<Result<Answers>>>);

#[pymethods]
impl PendingLicences {
    fn result(&self, py: Python<'_>) -> PyResult<OpenedLicences> {
        let taken = || Error::new(Class::Fatal, "native.panic", "the answer of a batch was taken before");
        let ready = self.0.try_lock().ok().and_then(|waiting| waiting.try_recv().ok());
        if let Some(opened) = ready {
            return call(|| opened.map(OpenedLicences));
        }
        call_detached(py, || {
            let waiting = self.0.lock().map_err(|_| taken())?;
            waiting.recv().map_err(|_| taken())?.map(OpenedLicences)
        })
    }
}

/// What became of every text of a batch. Python's values are made only of what is asked for: making them is work of one
/// core at a time.
#[pyclass(frozen, module = "ledger._native")]
pub struct OpenedLicences(pub(super) Answers);

#[pymethods]
impl OpenedLicences {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn refusal(&self, at: usize) -> PyResult<Option<(&'static str, Option<&str>)>> {
        Ok(match self.item(at)? {
            Some(Err(refused)) => Some((refused.code, refused.kid.as_deref())),
            Some(Ok(_)) | None => None,
        })
    }

    fn said<'py>(&self, py: Python<'py>, at: usize) -> PyResult<Option<Bound<'py, PyTuple>>> {
        match self.item(at)? {
            Some(Ok((found, Some(said)))) => told(py, found, said).map(Some),
            _ => Ok(None),
        }
    }

    fn parts<'py>(&self, py: Python<'py>, at: usize) -> PyResult<Option<Bound<'py, PyTuple>>> {
        match self.item(at)? {
            Some(Ok((found, _))) => {
                let items = found.opened.disclosures.iter().map(|item| disclosure(py, item));
                let items = items.collect::<PyResult<Vec<_>>>()?;
                parts(py, found, PyTuple::new(py, items)?).map(Some)
            }
            _ => Ok(None),
        }
    }
}

impl OpenedLicences {
    fn item(&self, at: usize) -> PyResult<Option<&Answer>> {
        self.0.get(at).map(Option::as_ref).ok_or_else(|| PyIndexError::new_err("no such place in the batch"))
    }
}

/// (kid, alg, iss, vct, iat, nbf, exp, holder, (uri, idx), facts, identified, hidden, presented)
fn told<'py>(py: Python<'py>, found: &Found, said: &Said) -> PyResult<Bound<'py, PyTuple>> {
    let Found { opened, .. } = found;
    let claim = |name: &str| opened.claims.get(name).map_or_else(|| Ok(py.None().into_bound(py)), |it| python(py, it));
    let facts = PyDict::new(py);
    if let Value::Object(fields) = &opened.claims {
        for (name, item) in fields.iter().filter(|field| reading::is_fact(&field.0)) {
            facts.set_item(name.as_str(), python(py, item)?)?;
        }
    }
    let holder = said.holder.as_ref().map(|spki| PyBytes::new(py, spki));
    let status = said.index.map(|index| (reading::address(&opened.claims), index));
    let items = [
        PyString::new(py, &found.kid).into_any(),
        PyString::intern(py, found.suite.alg()).into_any(),
        claim("iss")?,
        claim("vct")?,
        said.issued_at.into_pyobject(py)?.into_any(),
        said.not_before.into_pyobject(py)?.into_any(),
        said.expires.into_pyobject(py)?.into_any(),
        holder.into_pyobject(py)?.into_any(),
        status.into_pyobject(py)?.into_any(),
        facts.into_any(),
        said.identified.into_pyobject(py)?.to_owned().into_any(),
        opened.hidden.into_pyobject(py)?.into_any(),
        found.presented.into_pyobject(py)?.into_any(),
    ];
    PyTuple::new(py, items)
}

/// (kid, alg, claims, disclosures, hidden, presented)
fn parts<'py>(py: Python<'py>, found: &Found, disclosures: Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyTuple>> {
    let opened = &found.opened;
    let items = [
        PyString::new(py, &found.kid).into_any(),
        PyString::intern(py, found.suite.alg()).into_any(),
        python(py, &opened.claims)?,
        disclosures.into_any(),
        opened.hidden.into_pyobject(py)?.into_any(),
        found.presented.into_pyobject(py)?.into_any(),
    ];
    PyTuple::new(py, items)
}

/// (place among those that came, path, places of those it lies in)
fn disclosure<'py>(py: Python<'py>, item: &Disclosure) -> PyResult<Bound<'py, PyTuple>> {
    let steps = item.path.iter().map(|step| place(py, step));
    let path = PyTuple::new(py, steps.collect::<PyResult<Vec<_>>>()?)?;
    let parents = PyTuple::new(py, &item.parents)?;
    PyTuple::new(py, [item.index.into_pyobject(py)?.into_any(), path.into_any(), parents.into_any()])
}

fn place<'py>(py: Python<'py>, step: &Step) -> PyResult<Bound<'py, PyAny>> {
    Ok(match step {
        Step::Name(name) => PyString::new(py, name).into_any(),
        Step::Place(place) => place.into_pyobject(py)?.into_any(),
    })
}

fn python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(flag) => PyBool::new(py, *flag).to_owned().into_any(),
        Value::Integer(number) => PyInt::new(py, *number).into_any(),
        Value::Float(number) => PyFloat::new(py, *number).into_any(),
        Value::Text(text) => PyString::new(py, text).into_any(),
        Value::Array(items) => {
            let items = items.iter().map(|item| python(py, item)).collect::<PyResult<Vec<_>>>()?;
            PyList::new(py, items)?.into_any()
        }
        Value::Object(fields) => {
            let object = PyDict::new(py);
            for (name, item) in fields {
                object.set_item(name.as_str(), python(py, item)?)?;
            }
            object.into_any()
        }
    })
}

#[pyfunction]
fn sm3_digest<'py>(py: Python<'py>, data: Bytes<'_>) -> PyResult<Bound<'py, PyBytes>> {
    let digest = call(|| Ok(sm::digest(data.0)))?;
    Ok(PyBytes::new(py, &digest))
}

#[pyfunction]
fn sm2_public<'py>(py: Python<'py>, secret: Fixed<32>) -> PyResult<Bound<'py, PyBytes>> {
    let point = call(|| sm::public(&secret.0))?;
    Ok(PyBytes::new(py, &point))
}

#[pyfunction]
fn sm2_sign<'py>(py: Python<'py>, secret: Fixed<32>, message: Bytes<'_>) -> PyResult<Bound<'py, PyBytes>> {
    let signature = call(|| sm::sign(&secret.0, message.0))?;
    Ok(PyBytes::new(py, &signature))
}

#[pyfunction]
fn sm2_verify(point: Bytes<'_>, message: Bytes<'_>, signature: Bytes<'_>) -> PyResult<()> {
    call(|| sm::verify(point.0, message.0, signature.0))
}
