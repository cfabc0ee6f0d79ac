//! The `proto` room: the words on the wire.
//!
//! It holds the message types of Mesos's v1 API and of the messages between masters, agents, v0 drivers
//! and v0 executors, and turns them into bytes and back: protobuf, JSON by Mesos's rules, RecordIO.
//!
//! It never decides anything: what a message means, whether its ids exist, whether its numbers make
//! sense is the business of `model` and the cores. It does no I/O.
//!
//! Start at [`decode`] and [`from_json`], which everything from outside passes through, and at
//! [`actor::Message`], the messages between actors. `proto/` holds the interface facts, `build/` makes
//! prost types and the tables of [`reflect`] from them; the rules are written by hand in `binary` and
//! [`json`] and work on those tables.
//!
//! Invariants:
//! - No input panics, loops or takes memory beyond [`limits`]; what is refused is refused with the path
//!   of the fault.
//! - What [`decode`] and [`from_json`] answer is complete: required fields were there, enum numbers are
//!   known ones.
//! - Output is a function of the message: maps are ordered, fields come in the order of their numbers
//!   (protobuf) or of their declaration (JSON).
//! - One set of types, v1's, where the v0 message differs in names only; `mesos.scheduler.Call` and
//!   [`mesos::internal::SlaveInfo`] are types of their own because their numbers differ.
//!
//! Unknown protobuf fields are dropped on decoding, so a process must never write back a record that a
//! newer one wrote.
pub mod actor;
mod binary;
mod duration;
pub mod json;
pub mod limits;
mod path;
pub mod recordio;
pub mod reflect;
pub mod slave_info;

#[allow(missing_docs, clippy::all)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/all.rs"));
}

pub use binary::{DecodeError, decode, decode_within, encode};
pub use generated::{meseta, mesos};
pub use json::{JsonError, append_json, from_json, from_json_within, to_json};
pub use limits::Limits;
pub use path::Missing;
pub use reflect::Wire;
