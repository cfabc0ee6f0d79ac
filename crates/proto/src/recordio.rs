//! RecordIO, the framing of Mesos's event streams: the length of a record in decimal digits, a line
//! feed, then exactly that many bytes, and nothing between records. How the bytes are cut into HTTP
//! chunks means nothing.
use bytes::{Buf, Bytes, BytesMut};

use crate::limits::{MAX_RECORD_BYTES, MAX_RECORD_LENGTH_DIGITS};
use crate::path::quote;

/// Why a stream was refused. It cannot be read any further: nobody knows where the next record begins.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// What stands where a length belongs is none.
    #[error("Failed to decode length '{found}' of a record")]
    Length {
        /// What was there, shortened.
        found: String,
    },
    /// A record longer than the reader accepts.
    #[error("a record of {len} bytes, of which at most {limit} are accepted")]
    TooLong {
        /// The announced length.
        len: u64,
        /// The reader's limit.
        limit: usize,
    },
    /// The stream ended in the middle of a record.
    #[error("the stream ended inside a record")]
    Truncated,
}

/// Appends one framed record.
pub fn append_record(out: &mut Vec<u8>, record: &[u8]) {
    out.extend_from_slice(record.len().to_string().as_bytes());
    out.push(b'\n');
    out.extend_from_slice(record);
}

/// One framed record, ready to be a chunk of a stream.
pub fn record(record: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(record.len() + MAX_RECORD_LENGTH_DIGITS + 1);
    append_record(&mut out, record);
    out
}

/// Takes a stream apart, however it was cut.
///
/// It holds at most one record and what was pushed since, so call [`Reader::next_record`] until it has no
/// more after every [`Reader::push`].
#[derive(Debug)]
pub struct Reader {
    buffer: BytesMut,
    /// The length of the record that is being read, once known.
    wanted: Option<usize>,
    limit: usize,
    fault: Option<RecordError>,
}

impl Default for Reader {
    /// A reader of records up to [`MAX_RECORD_BYTES`].
    fn default() -> Self {
        Self::with_limit(MAX_RECORD_BYTES)
    }
}

impl Reader {
    /// A reader of records up to `limit` bytes.
    pub fn with_limit(limit: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            wanted: None,
            limit,
            fault: None,
        }
    }

    /// Takes in the next bytes of the stream. After an error they are dropped.
    pub fn push(&mut self, chunk: &[u8]) {
        if self.fault.is_none() {
            self.buffer.extend_from_slice(chunk);
        }
    }

    /// The next complete record, if there is one.
    ///
    /// # Errors
    /// [`RecordError`]; once refused, a stream stays refused with the same error.
    pub fn next_record(&mut self) -> Result<Option<Bytes>, RecordError> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        self.read().inspect_err(|fault| {
            self.fault = Some(fault.clone());
            self.buffer = BytesMut::new();
        })
    }

    /// Tells whether the stream may end here.
    ///
    /// # Errors
    /// [`RecordError::Truncated`] in the middle of a record, or the error that the stream was refused with.
    pub fn finish(&self) -> Result<(), RecordError> {
        match &self.fault {
            Some(fault) => Err(fault.clone()),
            None if self.wanted.is_some() || !self.buffer.is_empty() => Err(RecordError::Truncated),
            None => Ok(()),
        }
    }

    fn read(&mut self) -> Result<Option<Bytes>, RecordError> {
        let wanted = match self.wanted {
            Some(wanted) => wanted,
            None => match self.read_length()? {
                Some(len) => *self.wanted.insert(len),
                None => return Ok(None),
            },
        };
        if self.buffer.len() < wanted {
            return Ok(None);
        }
        self.wanted = None;
        Ok(Some(self.buffer.split_to(wanted).freeze()))
    }

    fn read_length(&mut self) -> Result<Option<usize>, RecordError> {
        let line = self
            .buffer
            .iter()
            .take(MAX_RECORD_LENGTH_DIGITS + 1)
            .position(|byte| *byte == b'\n');
        let digits = match line {
            Some(end) => &self.buffer[..end],
            None => &self.buffer[..self.buffer.len().min(MAX_RECORD_LENGTH_DIGITS + 1)],
        };
        let text = str::from_utf8(digits).unwrap_or_default();
        let sound =
            digits.len() <= MAX_RECORD_LENGTH_DIGITS && digits.iter().all(u8::is_ascii_digit);
        let len = match (line, sound) {
            (None, true) => return Ok(None),
            (Some(_), true) => text.parse::<u64>().ok(),
            (_, false) => None,
        };
        let Some(len) = len else {
            return Err(RecordError::Length {
                found: quote(&String::from_utf8_lossy(digits)),
            });
        };
        let fits = usize::try_from(len).ok().filter(|len| *len <= self.limit);
        let wanted = fits.ok_or(RecordError::TooLong {
            len,
            limit: self.limit,
        })?;
        self.buffer.advance(digits.len() + 1);
        Ok(Some(wanted))
    }
}

#[cfg(test)]
mod tests;
