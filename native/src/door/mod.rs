//! The door to Python: converts arguments, errors and results, and nothing else. One file per area.

mod args;
mod fault;
mod merkle;
mod sign;

use pyo3::prelude::*;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    merkle::register(module)?;
    sign::register(module)
}
