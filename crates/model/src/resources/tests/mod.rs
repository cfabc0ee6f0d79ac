//! The laws of the algebra, and what it says to and hears from the wire.

mod conversions;
mod laws;
mod samples;
mod texts;
mod wires;
