//! The `proto` room: wire types.
pub mod actor;
pub mod decode;

#[allow(missing_docs, clippy::all)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/all.rs"));
}
pub use generated::mesos;
