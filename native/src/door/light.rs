//! The light client's function of the door.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use super::args::{Count, Hash, byte_strings};
use super::fault::call_detached;
use crate::light::{self, Pin};

/// Adds this area's function to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(verify_light, module)?)
}

#[pyfunction]
#[pyo3(signature = (blocks, chain_id, pin=None))]
fn verify_light<'py>(
    py: Python<'py>,
    blocks: &Bound<'py, PyAny>,
    chain_id: &str,
    pin: Option<(Count, Hash, Hash)>,
) -> PyResult<Bound<'py, PyList>> {
    let strings = byte_strings(blocks)?;
    let blocks: Vec<&[u8]> = strings.iter().map(|block| block.as_bytes()).collect();
    let pin = pin.map(|(height, hash, validators)| Pin { height: height.0, hash: hash.0, validators: validators.0 });
    let facts = call_detached(py, || light::verify(&blocks, chain_id, pin.as_ref()))?;
    PyList::new(py, facts.iter().map(|found| (PyBytes::new(py, &found.hash), found.signed, found.total)))
}
