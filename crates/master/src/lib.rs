//! The `master` room: which agents there are, which frameworks, and who runs what where.
//!
//! **What it is.** One plain struct, [`Master`], with one method, [`step`](meseta_model::step::Core::step):
//! an [`event::Event`] in, [`event::Effect`]s out. A master follows until it is elected; then it reads
//! its [`registry`], waits for agents and frameworks to come back, makes offers of what the allocator
//! grants, launches tasks, and passes their updates on.
//!
//! **What it never does.** No I/O, no clock, no threads, no OS randomness: time, ids and seeds come with
//! events. It decides nothing about fairness (that is the allocator's), nothing about what is valid by
//! itself (that is `model`'s), and answers no reads: everything visible leaves as [`view::Delta`]s. The one
//! exception is `explain`, which asks the allocator why it decides as it does.
//!
//! **Where to start reading.** `master`: its `match`es over events, timers and messages are the table of
//! contents. `proposals` says what follows a durable change, `calls` who may call what, `accept` and
//! `launch` how a task gets to its agent, `updates` how its end comes back, `convert` and `operations` how
//! reservations and volumes are made.
//!
//! **Invariants.** What the registry holds changes only by a committed op, and what follows from it
//! happens only then. Every request gets exactly one reply. An offer is answered once. Tasks, executors
//! and offers on an agent add up to no more than it has ([`Master::audit`] counts again). A terminal
//! state is never left. Nothing that a peer or client sends stops a master.

mod accept;
mod admission;
mod adoption;
mod agents;
mod audit;
mod calls;
mod census;
mod config;
mod convert;
mod departures;
mod descriptions;
mod digest;
mod driver;
pub mod event;
mod explain;
mod frameworks;
mod launch;
mod leaving;
pub mod limits;
mod master;
mod notice;
mod offers;
mod older_driver;
mod operations;
mod permissions;
mod pings;
mod proposals;
mod reason;
mod reconcile;
mod registration;
pub mod registry;
mod reign;
mod subscribe;
mod survey;
mod tasks;
mod turn;
mod updates;
mod verdicts;
pub mod view;

pub use config::{BadConfig, Config};
pub use master::Master;
pub use survey::Survey;
