//! How a call ends: results pass, errors become classes of `ledger.errors`, a panic becomes `FatalError`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::error::{Class, Error, Result, Value};

/// Run a short call with the GIL held.
pub fn call<T>(work: impl FnOnce() -> Result<T>) -> PyResult<T> {
    contain(work).map_err(raise)
}

/// Run a call that may take over a millisecond, or wait, without the GIL.
pub fn call_detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    py.detach(|| contain(work)).map_err(raise)
}

/// State that a panic left half-changed is never used again: locks are poisoned and the log engine stops itself, so
/// the closure may be asserted unwind safe.
pub fn contain<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let detail = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("no detail");
        Err(Error::new(Class::Fatal, "native.panic", format!("the native core failed: {detail}"))
            .hint("restart the process; report this with the message"))
    })
}

/// The Python exception of an error. Falls back to the import error when `ledger.errors` itself cannot be loaded.
pub fn raise(error: Error) -> PyErr {
    Python::attach(|py| exception(py, &error).unwrap_or_else(|failed| failed))
}

fn exception(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let class = match error.class {
        Class::InvalidInput => "InvalidInputError",
        Class::Untrusted => "UntrustedError",
        Class::NotAllowed => "NotAllowedError",
        Class::NotFound => "NotFoundError",
        Class::Conflict => "ConflictError",
        Class::Unavailable => "UnavailableError",
        Class::Fatal => "FatalError",
    };
    let fields = PyDict::new(py);
    fields.set_item("hint", &error.hint)?;
    fields.set_item("expected", plain(py, error.expected.as_ref())?)?;
    fields.set_item("actual", plain(py, error.actual.as_ref())?)?;
    let raised = py.import("ledger.errors")?.getattr(class)?.call((error.code, &error.message), Some(&fields))?;
    Ok(PyErr::from_value(raised))
}

fn plain<'py>(py: Python<'py>, value: Option<&Value>) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        None => py.None().into_bound(py),
        Some(Value::Text(text)) => text.into_pyobject(py)?.into_any(),
        Some(Value::Number(number)) => number.into_pyobject(py)?.into_any(),
        Some(Value::Bytes(bytes)) => PyBytes::new(py, bytes).into_any(),
    })
}
