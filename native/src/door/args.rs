//! Arguments that refuse with `InvalidInputError` instead of `TypeError` and `OverflowError`.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::fault::raise;
use crate::error::{Class, Error};

/// Bytes borrowed from a Python `bytes` object.
pub struct Bytes<'a>(pub &'a [u8]);

/// Exactly N bytes.
pub struct Fixed<const N: usize>(pub [u8; N]);

/// A size, count, index or time: 0 to 2^64 - 1.
pub struct Count(pub u64);

/// A 32-byte hash.
pub type Hash = Fixed<32>;

impl<'a, 'py> FromPyObject<'a, 'py> for Bytes<'a> {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        object.extract::<&'a [u8]>().map(Self).map_err(|_| wrong_type("bytes", &object))
    }
}

impl<'a, 'py, const N: usize> FromPyObject<'a, 'py> for Fixed<N> {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let bytes = object.extract::<Bytes<'a>>()?.0;
        bytes.try_into().map(Self).map_err(|_| {
            raise(
                Error::new(Class::InvalidInput, "input.length", format!("{N} bytes are needed"))
                    .hint("give the raw bytes, not their hex form")
                    .numbers(N as u64, bytes.len() as u64),
            )
        })
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Count {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        match object.extract::<u64>() {
            Ok(number) => Ok(Self(number)),
            Err(_) if object.is_instance_of::<pyo3::types::PyInt>() => Err(raise(
                Error::new(Class::InvalidInput, "input.range", "the number is negative or over 2^64 - 1")
                    .hint("give a whole number of this range")
                    .values("0 .. 2^64 - 1", object.to_string()),
            )),
            Err(_) => Err(wrong_type("a whole number", &object)),
        }
    }
}

/// Every item of a sequence, as bytes.
pub fn byte_strings<'py>(items: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    let mut strings = Vec::with_capacity(items.len().unwrap_or(0));
    for item in items.try_iter().map_err(|_| wrong_type("a sequence of bytes", items))? {
        strings.push(item?.cast_into::<PyBytes>().map_err(|error| wrong_type("bytes", &error.into_inner()))?);
    }
    Ok(strings)
}

fn wrong_type(needed: &str, object: &Bound<'_, PyAny>) -> PyErr {
    let found = object.get_type().name().map_or_else(|_| String::from("?"), |name| name.to_string());
    raise(
        Error::new(Class::InvalidInput, "input.type", format!("{needed} is needed, not {found}"))
            .hint("the types of every call are in ledger/_native.pyi")
            .values(needed, found),
    )
}
