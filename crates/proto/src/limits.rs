//! Every limit of this room. What happens there: the input is refused with an error that names the
//! limit, and nothing is kept of it.

/// Messages that one message may hold inside one another, itself included; also the objects and lists
/// inside one another in a JSON document. Protobuf's own libraries refuse beyond the same number.
pub const MAX_DEPTH: usize = 100;

/// Bytes of one encoded message, protobuf or JSON. 64 MiB, where older protobuf libraries stop too.
pub const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// Bytes of memory that the list and map elements of one decoded message may take. Two bytes on the
/// wire can stand for an empty element of a kilobyte; without this limit a small body fills the memory.
pub const MAX_ELEMENT_BYTES: usize = 256 << 20;

/// Missing required fields that one error lists; further ones are only said to exist.
pub const MAX_MISSING_LISTED: usize = 32;

/// Characters of the input that an error message repeats.
pub const MAX_QUOTED_CHARS: usize = 64;

/// Bytes of one record of a RecordIO stream, unless the reader is told otherwise.
pub const MAX_RECORD_BYTES: usize = 64 << 20;

/// Digits of a RecordIO length: what an unsigned 64-bit number needs.
pub const MAX_RECORD_LENGTH_DIGITS: usize = 20;

/// What one decoding may cost. The default suits input from anyone; a client that asked a master for
/// the state of a large cluster may allow more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the encoded message.
    pub message_bytes: usize,
    /// Bytes of memory for list and map elements, see [`MAX_ELEMENT_BYTES`].
    pub element_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: MAX_MESSAGE_BYTES,
            element_bytes: MAX_ELEMENT_BYTES,
        }
    }
}
