//! The fetcher: a process of its own, run as the task's user inside the container, that brings URIs
//! into the sandbox before the program starts.
//!
//! It reads a [`FetchRequest`] on standard input, tells its story on standard error (the sandbox's
//! `stderr`), and, if it fails, the reason on standard output, which is a pipe to the supervisor.
//! Mesos's `cache` flag of a URI changes nothing here: there is no cache, every fetch is fresh.

use std::fmt;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use meseta_proto::mesos::v1::command_info::Uri;
use serde::{Deserialize, Serialize};

use crate::limits::PLAN_BYTES;

mod archive;
mod download;
mod forward;
mod source;

use source::Source;

/// What to fetch, and where to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchRequest {
    /// The sandbox, absolute; also the working directory.
    pub sandbox: String,
    /// A download that gets less than one byte a second for this long is given up; 0: never.
    pub stall_timeout_secs: u64,
    /// In order.
    pub items: Vec<Item>,
}

/// One URI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// `file://`, `http://`, `https://` or an absolute path.
    pub uri: String,
    /// Make it executable; it is not extracted then.
    pub executable: bool,
    /// Extract it if its name says that it is an archive.
    pub extract: bool,
    /// Its name in the sandbox, which may have directories; else the last part of the URI.
    pub output_file: Option<String>,
}

impl From<&Uri> for Item {
    fn from(uri: &Uri) -> Self {
        Self {
            uri: uri.value.clone(),
            executable: uri.executable.unwrap_or(false),
            extract: uri.extract.unwrap_or(true),
            output_file: uri.output_file.clone(),
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            uri,
            executable,
            extract,
            output_file,
        } = self;
        write!(f, "{uri}")?;
        if let Some(name) = output_file {
            write!(f, " to {name}")?;
        }
        match (executable, extract) {
            (true, _) => write!(f, " and make it executable"),
            (false, true) => write!(f, " and extract it"),
            (false, false) => Ok(()),
        }
    }
}

/// Why an item could not be fetched; the URI is named by whoever reports it.
#[derive(Debug, thiserror::Error)]
pub enum FetchFault {
    /// The URI or the output file is not acceptable.
    #[error("{0}")]
    Refused(String),
    /// The other side, the network or the disk.
    #[error("{0}")]
    Broken(String),
    /// An archive that would write outside of the sandbox or cannot be read.
    #[error("cannot extract {name}: {reason}")]
    Archive {
        /// The file's name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The fetcher's role: fetches what standard input asks for. Gives the exit code, 0 if all is there.
#[must_use]
pub fn fetch_main() -> i32 {
    let outcome = read_request().and_then(|request| fetch_all(&request));
    match outcome {
        Ok(()) => 0,
        Err(reason) => {
            say(&reason);
            // Nobody may listen, as when it is run by hand.
            let _ = std::io::stdout().write_all(reason.as_bytes());
            1
        }
    }
}

fn read_request() -> Result<FetchRequest, String> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(PLAN_BYTES).unwrap_or(u64::MAX);
    let unusable = |why: String| format!("the fetcher got no usable request: {why}");
    std::io::stdin()
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| unusable(error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| unusable(error.to_string()))
}

fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Fetches every item in order.
///
/// # Errors
///
/// The reason of the first that fails, with its URI.
pub fn fetch_all(request: &FetchRequest) -> Result<(), String> {
    let sandbox = Path::new(&request.sandbox);
    for item in &request.items {
        say(&format!("Fetching URI '{}'", item.uri));
        let path = fetch(item, sandbox, request.stall_timeout_secs)
            .map_err(|fault| format!("Failed to fetch '{}': {fault}", item.uri))?;
        say(&format!("Fetched '{}' to '{}'", item.uri, path.display()));
    }
    Ok(())
}

fn fetch(item: &Item, sandbox: &Path, stall_timeout_secs: u64) -> Result<PathBuf, FetchFault> {
    let source = Source::parse(&item.uri)?;
    let name = match &item.output_file {
        Some(name) => source::output_file(name)?,
        None => source::basename(&item.uri)?,
    };
    let path = place(sandbox, &name)?;
    let mut target = create(&path)?;
    match source {
        Source::File(from) => copy(&from, &mut target)?,
        Source::Http(url) => download::download(&url, &mut target, stall_timeout_secs)?,
    }
    drop(target);
    if item.executable {
        // Mesos: rwxr-xr-x, and no extraction.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).map_err(broken(&path))?;
    } else if item.extract && !archive::extract(&path, sandbox)? {
        say(&format!(
            "Not extracting '{}': its name is not that of an archive",
            item.uri
        ));
    }
    Ok(path)
}

/// The path of a name in the sandbox, its directories made. None of them may lead outside, which an
/// earlier archive could have arranged with a symbolic link.
fn place(sandbox: &Path, name: &Path) -> Result<PathBuf, FetchFault> {
    let path = sandbox.join(name);
    let parent = path.parent().unwrap_or(sandbox);
    make_inside(sandbox, parent).map_err(FetchFault::Refused)?;
    Ok(path)
}

/// Makes `directory`, below `root`, and makes sure that it is there and not elsewhere by a link.
fn make_inside(root: &Path, directory: &Path) -> Result<(), String> {
    let text = |error: std::io::Error| format!("{}: {error}", directory.display());
    let real_root = root.canonicalize().map_err(text)?;
    // Level by level: a link is noticed before anything is made behind it.
    let mut level = root.to_path_buf();
    for part in directory
        .strip_prefix(root)
        .unwrap_or(directory)
        .components()
    {
        level.push(part);
        if !level.exists() {
            fs::create_dir(&level).map_err(text)?;
        }
        if !level.canonicalize().map_err(text)?.starts_with(&real_root) {
            return Err(format!(
                "'{}' leads outside of the sandbox",
                directory.display()
            ));
        }
    }
    Ok(())
}

/// A fresh file: what was there is replaced, not followed or written into.
fn create(path: &Path) -> Result<fs::File, FetchFault> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(broken(path)(error));
        }
        _ => {}
    }
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(broken(path))
}

fn copy(from: &Path, target: &mut fs::File) -> Result<(), FetchFault> {
    let meta = fs::metadata(from).map_err(broken(from))?;
    if !meta.is_file() {
        return Err(FetchFault::Refused(format!(
            "'{}' is not a regular file",
            from.display()
        )));
    }
    let mut file = fs::File::open(from).map_err(broken(from))?;
    std::io::copy(&mut file, target)
        .map(drop)
        .map_err(broken(from))
}

fn broken(path: &Path) -> impl Fn(std::io::Error) -> FetchFault + use<'_> {
    move |error| FetchFault::Broken(format!("{}: {error}", path.display()))
}
