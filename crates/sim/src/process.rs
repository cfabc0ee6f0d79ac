//! Who takes part, and where each listens.

use std::fmt;
use std::net::SocketAddr;

/// One simulated process with an address of its own, on a host of its own. Executors live on their
/// agent's host and are named by their container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Process {
    Master(usize),
    Agent(usize),
    Scheduler(usize),
}

impl Process {
    /// Where it listens: the kind is the third number of the address, the place the fourth.
    pub(crate) fn address(self) -> SocketAddr {
        let (kind, place, port) = match self {
            Self::Master(place) => (0, place, 5050),
            Self::Agent(place) => (1, place, 5051),
            Self::Scheduler(place) => (2, place, 8080),
        };
        SocketAddr::from(([10, 0, kind, place as u8 + 1], port))
    }

    /// Who listens there.
    pub(crate) fn at(address: SocketAddr) -> Option<Self> {
        let std::net::IpAddr::V4(ip) = address.ip() else {
            return None;
        };
        let [_, _, kind, place] = ip.octets();
        let place = usize::from(place.checked_sub(1)?);
        let process = match kind {
            0 => Self::Master(place),
            1 => Self::Agent(place),
            2 => Self::Scheduler(place),
            _ => return None,
        };
        (process.address() == address).then_some(process)
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Master(place) => write!(f, "master{}", place + 1),
            Self::Agent(place) => write!(f, "agent{}", place + 1),
            Self::Scheduler(place) => write!(f, "scheduler{}", place + 1),
        }
    }
}
