//! Directory listings.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use meseta_proto::mesos::v1;

use super::users::Users;
use crate::limits;

/// The entries of a directory under the name it was asked by, in the order of their names; a file is
/// its own only entry. Entries that vanish meanwhile are left out.
pub(super) fn list(name: &str, real: &Path) -> io::Result<Vec<v1::FileInfo>> {
    let metadata = real.metadata()?;
    let users = Users::read();
    if !metadata.is_dir() {
        return Ok(vec![info(name.to_owned(), &metadata, &users)]);
    }
    let mut entries = Vec::new();
    for entry in fs::read_dir(real)?
        .flatten()
        .take(limits::DIRECTORY_ENTRIES)
    {
        if let Ok(metadata) = entry.metadata() {
            let entry = entry.file_name().to_string_lossy().into_owned();
            entries.push(info(format!("{name}/{entry}"), &metadata, &users));
        }
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

fn info(path: String, metadata: &Metadata, users: &Users) -> v1::FileInfo {
    v1::FileInfo {
        path,
        nlink: i32::try_from(metadata.nlink()).ok(),
        size: Some(metadata.size()),
        mtime: Some(v1::TimeInfo {
            nanoseconds: metadata.mtime().saturating_mul(1_000_000_000),
        }),
        mode: Some(metadata.mode()),
        uid: Some(users.user(metadata.uid())),
        gid: Some(users.group(metadata.gid())),
    }
}

/// A mode as `ls -l` prints it: `-rw-r--r--`.
pub(crate) fn mode_text(mode: u32) -> String {
    let kind = match mode & 0o170_000 {
        0o040_000 => 'd',
        0o120_000 => 'l',
        0o020_000 => 'c',
        0o060_000 => 'b',
        0o010_000 => 'p',
        0o140_000 => 's',
        _ => '-',
    };
    let mut text = String::from(kind);
    for (bit, letter) in (0..9).rev().zip("rwxrwxrwx".chars()) {
        text.push(if mode & (1 << bit) == 0 { '-' } else { letter });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::mode_text;

    #[test]
    fn modes_are_spelled_as_ls_does() {
        assert_eq!(mode_text(0o100_644), "-rw-r--r--");
        assert_eq!(mode_text(0o040_750), "drwxr-x---");
        assert_eq!(mode_text(0o120_777), "lrwxrwxrwx");
    }
}
