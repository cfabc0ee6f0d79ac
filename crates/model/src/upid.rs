//! The address of an actor: `name@ip:port`, as libprocess spells it (design §4).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// Who sends or receives an actor message, for example `slave(1)@127.0.0.1:5051`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Upid {
    /// The actor's name; percent-decoded.
    pub name: String,
    /// Where its process listens.
    pub address: SocketAddr,
}

/// Why a text is no [`Upid`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not NAME@IP:PORT")]
pub struct BadUpid(pub String);

impl Upid {
    /// Joins the parts.
    #[must_use]
    pub fn new(name: impl Into<String>, address: SocketAddr) -> Self {
        Self {
            name: name.into(),
            address,
        }
    }

    /// The actor of another name in the same process.
    #[must_use]
    pub fn sibling(&self, name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            address: self.address,
        }
    }
}

impl fmt::Display for Upid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.address)
    }
}

impl FromStr for Upid {
    type Err = BadUpid;

    fn from_str(text: &str) -> Result<Self, BadUpid> {
        let bad = || BadUpid(text.to_owned());
        let (name, address) = text.rsplit_once('@').ok_or_else(bad)?;
        if name.is_empty() {
            return Err(bad());
        }
        let (ip, port) = address.rsplit_once(':').ok_or_else(bad)?;
        let ip: IpAddr = ip
            .trim_matches(|c| c == '[' || c == ']')
            .parse()
            .map_err(|_| bad())?;
        let port: u16 = port.parse().map_err(|_| bad())?;
        Ok(Self::new(name, SocketAddr::new(ip, port)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_printed() {
        for text in [
            "master@10.0.0.1:5050",
            "slave(1)@127.0.0.1:5051",
            "a@b@1.2.3.4:1",
        ] {
            assert_eq!(
                text.parse::<Upid>().map(|upid| upid.to_string()).as_deref(),
                Ok(text)
            );
        }
        let six = "m@[::1]:5050".parse::<Upid>();
        assert_eq!(
            six.map(|upid| upid.to_string()).as_deref(),
            Ok("m@[::1]:5050")
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "master",
            "@1.2.3.4:1",
            "m@1.2.3.4",
            "m@host:1",
            "m@1.2.3.4:x",
            "m@1.2.3.4:65536",
        ] {
            assert_eq!(
                text.parse::<Upid>(),
                Err(BadUpid(text.to_owned())),
                "{text}"
            );
        }
    }

    #[test]
    fn siblings_share_an_address() {
        let master: Result<Upid, _> = "master@1.2.3.4:5050".parse();
        let sibling = master.map(|upid| upid.sibling("slave-observer(1)").to_string());
        assert_eq!(sibling.as_deref(), Ok("slave-observer(1)@1.2.3.4:5050"));
    }
}
