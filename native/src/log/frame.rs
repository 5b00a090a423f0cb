//! Commit frames: what makes appended bytes count.
//!
//! 32 bytes, little endian: first u64, count u32, end u64, watermark u64, crc32c u32. `first` and `count` are the
//! entries, `end` the length of `entries.dat` after them, `watermark` the leaves whose hashes are synced; the checksum
//! covers the 28 bytes before it and then the entries' bytes. A frame with count 0 only moves the watermark.

use crate::error::Result;
use crate::log::storage::Blob;
use crate::log::{corrupt, disk};

/// Bytes of a frame.
pub const FRAME: u64 = 32;
/// Bytes of the longest entry with its length.
pub const LONGEST: u64 = 2 + super::MAX_ENTRY as u64;

/// One commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Index of the first entry.
    pub first: u64,
    /// Entries in this commit.
    pub count: u32,
    /// Length of `entries.dat` after this commit.
    pub end: u64,
    /// Leaves whose level files are synced.
    pub watermark: u64,
    /// CRC-32C of the fields above and the entries' bytes.
    pub checksum: u32,
}

impl Frame {
    /// A frame whose checksum covers these pieces of `entries.dat`, in order.
    pub fn seal<'a>(first: u64, count: u32, end: u64, watermark: u64, pieces: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut frame = Self { first, count, end, watermark, checksum: 0 };
        frame.checksum = pieces.fold(frame.start_checksum(), crc32c::crc32c_append);
        frame
    }

    /// Entries of the log up to and with this frame.
    pub fn size(&self) -> u64 {
        self.first.saturating_add(u64::from(self.count))
    }

    /// The 32 bytes.
    pub fn encode(&self) -> [u8; FRAME as usize] {
        let mut out = [0; FRAME as usize];
        out[..8].copy_from_slice(&self.first.to_le_bytes());
        out[8..12].copy_from_slice(&self.count.to_le_bytes());
        out[12..20].copy_from_slice(&self.end.to_le_bytes());
        out[20..28].copy_from_slice(&self.watermark.to_le_bytes());
        out[28..].copy_from_slice(&self.checksum.to_le_bytes());
        out
    }

    /// From 32 bytes, unchecked: see [`Frame::follows`] and [`Frame::covers`].
    pub fn decode(bytes: &[u8; FRAME as usize]) -> Self {
        let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let short = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        Self { first: long(0), count: short(8), end: long(12), watermark: long(20), checksum: short(28) }
    }

    /// Whether the fields can stand after `previous` (the default frame stands before the first).
    pub fn follows(&self, previous: &Self) -> bool {
        let data = self.end.checked_sub(previous.end);
        self.first == previous.size()
            && self.watermark <= self.size()
            && self.watermark >= previous.watermark
            && data.is_some_and(|bytes| bytes >= 3 * u64::from(self.count) && bytes <= LONGEST * u64::from(self.count))
    }

    /// Whether the checksum holds over the entries' bytes.
    pub fn covers(&self, data: &[u8]) -> bool {
        crc32c::crc32c_append(self.start_checksum(), data) == self.checksum
    }

    fn start_checksum(&self) -> u32 {
        crc32c::crc32c(&self.encode()[..28])
    }
}

/// `commits.dat` opened for reading frames.
pub struct Frames<'a> {
    file: &'a dyn Blob,
}

impl<'a> Frames<'a> {
    /// Over the file.
    pub fn new(file: &'a dyn Blob) -> Self {
        Self { file }
    }

    /// Whole frames in the file and the bytes of a torn one.
    pub fn count(&self) -> Result<(u64, u64)> {
        let length = self.file.length().map_err(|error| disk("reading commits.dat", &error))?;
        Ok((length / FRAME, length % FRAME))
    }

    /// Frame `number`; the frame before the first is the default.
    pub fn before(&self, number: u64) -> Result<Frame> {
        if number == 0 { Ok(Frame::default()) } else { self.get(number - 1) }
    }

    /// Frame `number`.
    pub fn get(&self, number: u64) -> Result<Frame> {
        let mut bytes = [0; FRAME as usize];
        self.file.read_at(&mut bytes, number * FRAME).map_err(|error| disk("reading commits.dat", &error))?;
        Ok(Frame::decode(&bytes))
    }

    /// The number of the first of `count` frames whose size is over `leaf`; `count` when there is none.
    pub fn holding(&self, leaf: u64, count: u64) -> Result<u64> {
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.get(middle)?.size() > leaf {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(low)
    }

    /// The entries' bytes of frame `number`, checked against it. `None`: the frame does not hold.
    pub fn data(&self, number: u64, entries: &dyn Blob) -> Result<Option<(Frame, Vec<u8>)>> {
        let (previous, frame) = (self.before(number)?, self.get(number)?);
        let length = entries.length().map_err(|error| disk("reading entries.dat", &error))?;
        if !frame.follows(&previous) || frame.end > length {
            return Ok(None);
        }
        let mut data = vec![0; usize::try_from(frame.end - previous.end).map_err(|_| corrupt("a frame is too large"))?];
        entries.read_at(&mut data, previous.end).map_err(|error| disk("reading entries.dat", &error))?;
        Ok(frame.covers(&data).then_some((frame, data)))
    }
}

/// The entries inside a frame's bytes: exactly `count` of them, nothing over. `None`: the lengths do not fit.
pub fn split(data: &[u8], count: u32) -> Option<Vec<&[u8]>> {
    let mut rest = data;
    let mut entries = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (entry, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        entries.push(entry);
        rest = after;
    }
    rest.is_empty().then_some(entries)
}
