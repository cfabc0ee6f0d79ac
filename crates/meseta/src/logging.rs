//! Where logs go, and how much is logged: by flags at first, by operators for a while.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context as _, anyhow, bail};
use meseta_node::{Logs, Verbosity};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::{BoxMakeWriter, MakeWriterExt as _};

use crate::flags::Values;

/// The longest a log file grows, as glog's. Then it becomes `NAME.1`, in place of an older one.
const LOG_FILE_BYTES: u64 = 1800 << 20;

/// Starts logging for `meseta <daemon>`: to stderr, so that a supervisor keeps it, and below `--log_dir`.
///
/// # Errors
/// A flag makes no sense, or the log file cannot be opened.
pub fn start(daemon: &str, values: &Values) -> anyhow::Result<Logs> {
    let level = match values.text("logging_level") {
        _ if values.bool("quiet") => "error",
        Some("INFO") | None => "info",
        Some("WARNING") => "warn",
        Some("ERROR") => "error",
        Some(other) => bail!("--logging_level={other}: expecting INFO, WARNING or ERROR"),
    };
    let own = values
        .path("log_dir")
        .map(|dir| dir.join(format!("meseta-{daemon}.INFO")));
    let verbosity = subscribe(&format!("{level},openraft=warn"), own.as_deref())?;
    Ok(Logs {
        verbosity,
        file: values.path("external_log_file").or(own),
    })
}

/// Logging of a program that people look at: nothing, unless `MESETA_LOG` or an operator asks for more.
///
/// # Errors
/// Something logs already.
pub fn silent() -> anyhow::Result<Logs> {
    Ok(Logs {
        verbosity: subscribe("off", None)?,
        file: None,
    })
}

/// What is logged from this verbosity on, beside what the flags ask for.
fn directives(base: &str, level: u32) -> String {
    match level {
        0 => base.to_owned(),
        1 => format!("{base},meseta=debug"),
        _ => format!("{base},meseta=trace"),
    }
}

fn subscribe(default: &str, file: Option<&Path>) -> anyhow::Result<Verbosity> {
    let base = std::env::var("MESETA_LOG").unwrap_or_else(|_| default.to_owned());
    let filter = EnvFilter::try_new(&base).with_context(|| format!("MESETA_LOG={base}"))?;
    let writer = match file {
        Some(path) => {
            let file = LogFile::open(path).with_context(|| path.display().to_string())?;
            BoxMakeWriter::new(io::stderr.and(Mutex::new(file)))
        }
        None => BoxMakeWriter::new(io::stderr),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(file.is_none() && io::stderr().is_terminal())
        .with_filter_reloading();
    let handle = builder.reload_handle();
    builder
        .try_init()
        .map_err(|error| anyhow!("logging: {error}"))?;
    Ok(Verbosity::new(move |level| {
        // Fails only when the subscriber is gone, with the process.
        let _ = handle.reload(EnvFilter::new(directives(&base, level)));
    }))
}

/// A log file of bounded length.
#[derive(Debug)]
struct LogFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    bound: u64,
}

impl LogFile {
    fn open(path: &Path) -> io::Result<Self> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(Self {
            path: path.to_owned(),
            bytes: file.metadata()?.len(),
            file,
            bound: LOG_FILE_BYTES,
        })
    }

    /// Makes room for `more` bytes.
    fn make_room(&mut self, more: usize) -> io::Result<()> {
        if self.bytes == 0 || self.bytes + more as u64 <= self.bound {
            return Ok(());
        }
        let mut older = self.path.clone().into_os_string();
        older.push(".1");
        std::fs::rename(&self.path, older)?;
        let bound = self.bound;
        *self = Self::open(&self.path)?;
        self.bound = bound;
        Ok(())
    }
}

impl Write for LogFile {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.make_room(record.len())?;
        let written = self.file.write(record)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_log_file_is_bounded_and_goes_on_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs/meseta-master.INFO");
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        LogFile::open(&path).unwrap().write_all(b"one\n").unwrap();
        let mut file = LogFile::open(&path).unwrap();
        file.bound = 8;
        file.write_all(b"two\n").unwrap();
        assert_eq!(read(&path), "one\ntwo\n");
        file.write_all(b"a line longer than the bound\n").unwrap();
        assert_eq!(read(&path), "a line longer than the bound\n");
        assert_eq!(
            read(&path.with_file_name("meseta-master.INFO.1")),
            "one\ntwo\n"
        );
    }

    #[test]
    fn a_verbosity_adds_to_what_the_flags_ask_for() {
        assert_eq!(directives("warn,openraft=warn", 0), "warn,openraft=warn");
        for (level, wanted) in [
            (1, "meseta=debug"),
            (2, "meseta=trace"),
            (9, "meseta=trace"),
        ] {
            let all = directives("warn,openraft=warn", level);
            assert_eq!(all, format!("warn,openraft=warn,{wanted}"));
            assert!(EnvFilter::try_new(all).is_ok());
        }
    }
}
