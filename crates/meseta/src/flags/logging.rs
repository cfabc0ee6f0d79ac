//! Flags both daemons share: logging.

use super::Kind::{Bool, Count, Text};
use super::Verdict::{Honoured, Inert};
use super::{Flag, flag};

/// Logging flags of both daemons.
pub const LOGGING: &[Flag] = &[
    flag("quiet", Bool, Some("false"), Honoured, "Log errors only"),
    flag(
        "logging_level",
        Text,
        Some("INFO"),
        Honoured,
        "Log at this level and above: INFO, WARNING, ERROR",
    ),
    flag(
        "log_dir",
        Text,
        None,
        Honoured,
        "Directory for a log file, beside stderr; shown as /master/log or /slave/log",
    ),
    flag(
        "logbufsecs",
        Count,
        Some("0"),
        Inert("logs are not buffered"),
        "Seconds to buffer logs",
    ),
    flag(
        "initialize_driver_logging",
        Bool,
        Some("true"),
        Inert("there is no native driver in this process"),
        "Let the driver set up logging",
    ),
    flag(
        "external_log_file",
        Text,
        None,
        Honoured,
        "A log file that others write, shown in place of our own",
    ),
];
