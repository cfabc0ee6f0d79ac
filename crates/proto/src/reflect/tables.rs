//! The tables that the build script writes.
#![allow(missing_docs, deprecated)]
use super::macros::{enumeration, record};
use super::{Content, EnumTable, Field, Kind, Label, Place, Record, Table, Value, Wire};
use crate::{meseta, mesos};

include!(concat!(env!("OUT_DIR"), "/tables.rs"));
