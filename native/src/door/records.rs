//! Canonical JSON and records of the door.

use std::borrow::Cow;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use super::args::{Bytes, byte_strings};
use super::fault::{call, call_detached, raise};
use crate::error::{Class, Error};
use crate::jcs::{self, Value};
use crate::log::lines::{self, Bounds};
use crate::log::schema::{Field, Kind, Schema};

/// Adds this area's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<RecordSchema>()?;
    module.add_function(wrap_pyfunction!(encode_json, module)?)
}

/// (name, kind, optional)
type FieldTuple = (String, String, bool);

/// The record types a member's systems may write, compiled.
#[pyclass(frozen, module = "ledger._native")]
pub struct RecordSchema(pub Schema);

#[pymethods]
impl RecordSchema {
    #[new]
    fn new(member: String, types: Vec<(String, Vec<FieldTuple>)>) -> PyResult<Self> {
        let types = types
            .into_iter()
            .map(|(name, fields)| {
                let fields = fields
                    .into_iter()
                    .map(|(name, kind, optional)| Ok(Field { name, kind: kind_of(&kind)?, optional }))
                    .collect::<PyResult<_>>()?;
                Ok((name, fields))
            })
            .collect::<PyResult<_>>()?;
        call(|| Ok(Self(Schema::new(&member, types))))
    }

    fn odd(&self, py: Python<'_>, records: &Bound<'_, PyAny>) -> PyResult<Vec<usize>> {
        let held = byte_strings(records)?;
        let records: Vec<&[u8]> = held.iter().map(|record| record.as_bytes()).collect();
        call_detached(py, || {
            Ok(records.iter().enumerate().filter(|(_, record)| !self.0.holds(record)).map(|(at, _)| at).collect())
        })
    }

    fn encode_lines<'py>(
        &self,
        py: Python<'py>,
        data: Bytes<'_>,
        time: &str,
        max_lines: usize,
        max_bytes: usize,
    ) -> PyResult<(Bound<'py, PyList>, usize, usize)> {
        let bounds = Bounds { lines: max_lines, bytes: max_bytes };
        let piece = call_detached(py, || Ok(lines::encode(&self.0, data.0, time, bounds)))?;
        let rows = PyList::empty(py);
        for line in &piece.lines {
            match &line.record {
                Some(record) => rows.append(PyBytes::new(py, record))?,
                None => rows.append((line.number, line.start, line.end))?,
            }
        }
        Ok((rows, piece.taken, piece.count))
    }
}

fn kind_of(name: &str) -> PyResult<Kind> {
    match name {
        "hex32" => Ok(Kind::Hex32),
        "uint" => Ok(Kind::Uint),
        "purpose" => Ok(Kind::Purpose),
        "label" => Ok(Kind::Label),
        _ => Err(raise(
            Error::new(Class::InvalidInput, "input.type", "no such kind of field")
                .hint("the kinds are in ledger/_native.pyi")
                .values("hex32, uint, purpose or label", name),
        )),
    }
}

#[pyfunction]
fn encode_json<'py>(py: Python<'py>, value: &Bound<'py, PyAny>, max_depth: usize) -> PyResult<Bound<'py, PyBytes>> {
    let mut value = convert(value, max_depth, max_depth)?;
    let bytes = call(|| Ok(jcs::encode(&mut value)))?;
    Ok(PyBytes::new(py, &bytes))
}

const MAX_SAFE: i64 = (1 << 53) - 1;

/// The value as the core has it. `room`: containers that may still open.
fn convert(value: &Bound<'_, PyAny>, room: usize, max_depth: usize) -> PyResult<Value<'static>> {
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(Value::Text(unicode(text)?));
    }
    if value.is_none() {
        return Ok(Value::Null);
    }
    if let Ok(flag) = value.cast::<PyBool>() {
        return Ok(Value::Bool(flag.is_true()));
    }
    if value.is_instance_of::<PyInt>() {
        return integer(value).map(Value::Integer);
    }
    if value.is_instance_of::<PyFloat>() {
        return Err(raise(
            Error::new(Class::InvalidInput, "json.float", "no floating-point numbers")
                .hint("write decimals as text")
                .values("an integer or text", shown(value)),
        ));
    }
    if room == 0 {
        return Err(raise(
            Error::new(Class::InvalidInput, "json.depth", format!("nested deeper than {max_depth}"))
                .hint("flatten the value")
                .numbers(max_depth as u64, max_depth as u64 + 1),
        ));
    }
    if let Ok(object) = value.cast::<PyDict>() {
        let fields = object.iter().map(|(name, item)| Ok((key(&name)?, convert(&item, room - 1, max_depth)?)));
        return Ok(Value::Object(fields.collect::<PyResult<_>>()?));
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        let items = value.try_iter()?.map(|item| convert(&item?, room - 1, max_depth));
        return Ok(Value::Array(items.collect::<PyResult<_>>()?));
    }
    let found = shown(value.get_type().as_any());
    Err(raise(
        Error::new(Class::InvalidInput, "json.type", format!("JSON has no {found}"))
            .hint("use objects, lists, texts, integers, true, false and null"),
    ))
}

fn key(name: &Bound<'_, PyAny>) -> PyResult<Cow<'static, str>> {
    match name.cast::<PyString>() {
        Ok(text) => unicode(text),
        Err(_) => Err(raise(
            Error::new(Class::InvalidInput, "json.key", "a key is text")
                .hint("write the key as text")
                .values("text", shown(name)),
        )),
    }
}

fn unicode(text: &Bound<'_, PyString>) -> PyResult<Cow<'static, str>> {
    text.to_str().map(|text| Cow::Owned(text.to_owned())).map_err(|_| {
        raise(
            Error::new(Class::InvalidInput, "json.text", "text that has no UTF-8 form: it holds half a surrogate pair")
                .hint("write the character itself, not one half of its UTF-16 form"),
        )
    })
}

fn integer(value: &Bound<'_, PyAny>) -> PyResult<i64> {
    value.extract::<i64>().ok().filter(|number| (-MAX_SAFE..=MAX_SAFE).contains(number)).ok_or_else(|| {
        raise(
            Error::new(Class::InvalidInput, "json.integer", "an integer lies between -(2^53 - 1) and 2^53 - 1")
                .hint("write larger values as text")
                .values(MAX_SAFE, shown(value)),
        )
    })
}

/// At most 64 characters of a value, for a message.
fn shown(value: &Bound<'_, PyAny>) -> String {
    // Python refuses to print integers of thousands of digits.
    value.repr().map_or_else(|_| String::from("(too long)"), |text| text.to_string().chars().take(64).collect())
}
