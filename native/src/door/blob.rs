//! Bytes held by reference: unlike a borrow they stand in lists and may be read without the GIL, and are not copied.

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use super::fault::raise;
use crate::error::{Class, Error};

/// A Python `bytes` object that stays alive as long as this.
pub struct Blob(PyBackedBytes);

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl FromPyObject<'_, '_> for Blob {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        object.extract::<PyBackedBytes>().map(Self).map_err(|_| {
            let found = object.get_type().name().map_or_else(|_| String::from("?"), |name| name.to_string());
            raise(
                Error::new(Class::InvalidInput, "input.type", format!("bytes are needed, not {found}"))
                    .values("bytes", found),
            )
        })
    }
}
