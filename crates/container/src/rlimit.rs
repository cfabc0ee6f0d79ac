//! Resource limits of processes: the wire's names, the kernel's numbers.

use meseta_proto::mesos::v1::r_limit_info::RLimit;
use meseta_proto::mesos::v1::r_limit_info::r_limit::Type;
use rustix::process::Resource;

use crate::step::Step;

/// Name and number of each limit that can be set. `RLMT_LOCKS` is missing on purpose: see
/// [`Fault::Locks`].
const TABLE: [(Type, &str, Resource); 15] = [
    (Type::RlmtAs, "AS", Resource::As),
    (Type::RlmtCore, "CORE", Resource::Core),
    (Type::RlmtCpu, "CPU", Resource::Cpu),
    (Type::RlmtData, "DATA", Resource::Data),
    (Type::RlmtFsize, "FSIZE", Resource::Fsize),
    (Type::RlmtMemlock, "MEMLOCK", Resource::Memlock),
    (Type::RlmtMsgqueue, "MSGQUEUE", Resource::Msgqueue),
    (Type::RlmtNice, "NICE", Resource::Nice),
    (Type::RlmtNofile, "NOFILE", Resource::Nofile),
    (Type::RlmtNproc, "NPROC", Resource::Nproc),
    (Type::RlmtRss, "RSS", Resource::Rss),
    (Type::RlmtRtprio, "RTPRIO", Resource::Rtprio),
    (Type::RlmtRttime, "RTTIME", Resource::Rttime),
    (Type::RlmtSigpending, "SIGPENDING", Resource::Sigpending),
    (Type::RlmtStack, "STACK", Resource::Stack),
];

/// Why a limit cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No type, or one this version does not know.
    #[error("rlimit of unknown type {0}")]
    Unknown(i32),
    /// Linux has not enforced this limit since 2.4.25, and its value marks the container's
    /// processes here (see [`crate::tag`]).
    #[error("RLMT_LOCKS is not supported: Linux does not enforce it")]
    Locks,
    /// Only one of the two values is there.
    #[error("RLMT_{0} needs both 'hard' and 'soft', or neither for no limit")]
    Half(&'static str),
    /// The soft value exceeds the hard one.
    #[error("RLMT_{0} has a soft limit above its hard limit")]
    Order(&'static str),
}

/// The kernel's number of a limit named as in a [`Step::SetRlimit`].
#[must_use]
pub fn resource(name: &str) -> Option<Resource> {
    TABLE.iter().find(|row| row.1 == name).map(|row| row.2)
}

/// The step for one limit of the wire. Neither value: no limit, as Mesos's `posix/rlimits`.
///
/// # Errors
///
/// [`Fault`], worded for the framework.
pub fn step(limit: &RLimit) -> Result<Step, Fault> {
    let kind = limit.r#type.and_then(|number| Type::try_from(number).ok());
    if kind == Some(Type::RlmtLocks) {
        return Err(Fault::Locks);
    }
    let row = TABLE.iter().find(|row| Some(row.0) == kind);
    let Some((_, name, _)) = row else {
        return Err(Fault::Unknown(limit.r#type.unwrap_or_default()));
    };
    match (limit.soft, limit.hard) {
        (Some(soft), Some(hard)) if soft > hard => return Err(Fault::Order(name)),
        (Some(_), Some(_)) | (None, None) => {}
        _ => return Err(Fault::Half(name)),
    }
    Ok(Step::SetRlimit {
        resource: (*name).to_owned(),
        soft: limit.soft,
        hard: limit.hard,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(kind: i32, soft: Option<u64>, hard: Option<u64>) -> RLimit {
        RLimit {
            r#type: Some(kind),
            soft,
            hard,
        }
    }

    #[test]
    fn every_type_of_the_wire_has_a_verdict() {
        for number in 0..=17 {
            let verdict = step(&limit(number, None, None));
            match number {
                0 | 17 => assert_eq!(verdict, Err(Fault::Unknown(number))),
                6 => assert_eq!(verdict, Err(Fault::Locks)),
                _ => assert!(matches!(
                    verdict,
                    Ok(Step::SetRlimit {
                        soft: None,
                        hard: None,
                        ..
                    })
                )),
            }
        }
    }

    #[test]
    fn one_value_alone_or_soft_above_hard_is_refused() {
        let nofile = Type::RlmtNofile as i32;
        assert_eq!(
            step(&limit(nofile, Some(1), None)),
            Err(Fault::Half("NOFILE"))
        );
        assert_eq!(
            step(&limit(nofile, None, Some(1))),
            Err(Fault::Half("NOFILE"))
        );
        assert_eq!(
            step(&limit(nofile, Some(2), Some(1))),
            Err(Fault::Order("NOFILE"))
        );
        let good = Step::SetRlimit {
            resource: "NOFILE".to_owned(),
            soft: Some(1),
            hard: Some(2),
        };
        assert_eq!(step(&limit(nofile, Some(1), Some(2))), Ok(good));
    }
}
