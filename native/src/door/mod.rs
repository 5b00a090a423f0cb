//! The door to Python: converts arguments, errors and results, and nothing else. One file per area.

mod abci;
mod args;
mod blob;
mod chain;
mod executed;
mod fault;
mod licence;
mod light;
mod log;
mod merkle;
mod ready;
mod records;
mod sign;

use pyo3::prelude::*;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    abci::register(module)?;
    chain::register(module)?;
    merkle::register(module)?;
    sign::register(module)?;
    records::register(module)?;
    licence::register(module)?;
    light::register(module)?;
    log::register(module)
}
