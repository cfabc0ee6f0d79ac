//! Extracts archives by the rules of their names, and nothing outside of the sandbox.
//!
//! A symbolic link in an archive may point anywhere, as with tar(1): it is made by the task's user,
//! who could make it anyway. What is refused is to write through one that leads outside, and a hard
//! link to anything outside.

use std::fs;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use super::{FetchFault, create, make_inside};
use crate::limits::{ARCHIVE_ENTRIES, XZ_MEMORY_BYTES};

/// How a file is packed, by its name. compat: Mesos's `extract` (src/launcher/fetcher.cpp).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Tar,
    TarGzip,
    TarBzip2,
    TarXz,
    Gzip,
    Zip,
}

const ENDINGS: [(&str, Packing); 9] = [
    (".tar", Packing::Tar),
    (".tgz", Packing::TarGzip),
    (".tar.gz", Packing::TarGzip),
    (".tbz2", Packing::TarBzip2),
    (".tar.bz2", Packing::TarBzip2),
    (".txz", Packing::TarXz),
    (".tar.xz", Packing::TarXz),
    (".gz", Packing::Gzip),
    (".zip", Packing::Zip),
];

fn packing(name: &str) -> Option<Packing> {
    ENDINGS
        .iter()
        .find(|(ending, _)| name.ends_with(ending))
        .map(|(_, packing)| *packing)
}

/// Extracts `path` into `directory`; `false` if its name is not that of an archive.
pub(super) fn extract(path: &Path, directory: &Path) -> Result<bool, FetchFault> {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
        .to_owned();
    let Some(packing) = packing(&name) else {
        return Ok(false);
    };
    unpack(path, &name, packing, directory)
        .map(|()| true)
        .map_err(|reason| FetchFault::Archive { name, reason })
}

fn unpack(path: &Path, name: &str, packing: Packing, directory: &Path) -> Result<(), String> {
    let file = BufReader::new(fs::File::open(path).map_err(text)?);
    match packing {
        Packing::Tar => untar(file, directory),
        Packing::TarGzip => untar(flate2::bufread::MultiGzDecoder::new(file), directory),
        Packing::TarBzip2 => untar(bzip2::bufread::MultiBzDecoder::new(file), directory),
        Packing::TarXz => {
            let memory_kib = XZ_MEMORY_BYTES / 1024;
            untar(
                lzma_rust2::XzReader::new_mem_limit(file, true, memory_kib),
                directory,
            )
        }
        Packing::Gzip => {
            let target = directory.join(name.strip_suffix(".gz").unwrap_or(name));
            let mut target = create(&target).map_err(|fault| fault.to_string())?;
            let mut content = flate2::bufread::MultiGzDecoder::new(file);
            io::copy(&mut content, &mut target).map(drop).map_err(text)
        }
        Packing::Zip => unzip(file, directory),
    }
}

fn text(error: impl std::error::Error) -> String {
    // The tar library's own words say little without what is behind them.
    let source = error
        .source()
        .map(|source| format!(": {source}"))
        .unwrap_or_default();
    format!("{error}{source}")
}

/// A leading `/` is cut off, as tar(1) does; `..` is refused.
fn inside(name: &Path) -> Result<PathBuf, String> {
    let mut inner = PathBuf::new();
    for part in name.components() {
        match part {
            Component::Normal(part) => inner.push(part),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(format!("'{}' leads outside of the sandbox", name.display()));
            }
        }
    }
    Ok(inner)
}

fn count(entries: usize) -> Result<(), String> {
    if entries >= ARCHIVE_ENTRIES {
        return Err(format!("it holds more than {ARCHIVE_ENTRIES} entries"));
    }
    Ok(())
}

fn untar(stream: impl Read, directory: &Path) -> Result<(), String> {
    let mut archive = tar::Archive::new(stream);
    archive.set_preserve_permissions(false);
    archive.set_overwrite(true);
    let mut later = Vec::new();
    for (index, entry) in archive.entries().map_err(text)?.enumerate() {
        count(index)?;
        let mut entry = entry.map_err(text)?;
        let name = entry.path().map_err(text)?.into_owned();
        let path = directory.join(inside(&name)?);
        let kind = entry.header().entry_type();
        let link = kind.is_hard_link() || kind.is_symlink();
        let file = kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse();
        if kind.is_pax_global_extensions() {
            continue;
        }
        if !link && !file && !kind.is_dir() {
            return Err(format!(
                "'{}' is neither file, directory nor link",
                name.display()
            ));
        }
        if kind.is_dir() {
            // The mode of a directory may forbid to fill it: given last.
            later.push((path.clone(), entry.header().mode().unwrap_or(0o755)));
            make_inside(directory, &path)?;
        } else if !entry.unpack_in(directory).map_err(text)? {
            return Err(format!("'{}' leads outside of the sandbox", name.display()));
        }
    }
    for (path, mode) in later.into_iter().rev() {
        let mode = fs::Permissions::from_mode(mode & 0o777);
        fs::set_permissions(&path, mode).map_err(text)?;
    }
    Ok(())
}

fn unzip(file: BufReader<fs::File>, directory: &Path) -> Result<(), String> {
    let mut archive = zip::ZipArchive::new(file).map_err(text)?;
    count(archive.len())?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(text)?;
        // Names need not be UTF-8 (MESOS-9393): bytes are what file systems have.
        let name = entry.name_raw().to_vec();
        let name =
            PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(name));
        if name.is_absolute() {
            return Err(format!("'{}' is an absolute path", name.display()));
        }
        let path = directory.join(inside(&name)?);
        if entry.is_dir() {
            make_inside(directory, &path)?;
            continue;
        }
        make_inside(directory, path.parent().unwrap_or(directory))?;
        if entry.is_symlink() {
            unzip_link(&mut entry, &path)?;
            continue;
        }
        let mode = entry.unix_mode();
        let mut target = create(&path).map_err(|fault| fault.to_string())?;
        io::copy(&mut entry, &mut target).map_err(text)?;
        if let Some(mode) = mode {
            let mode = fs::Permissions::from_mode(mode & 0o777);
            target.set_permissions(mode).map_err(text)?;
        }
    }
    Ok(())
}

/// Longest target of a symbolic link (Linux: `PATH_MAX`).
const LINK_BYTES: u64 = 4096;

fn unzip_link(entry: &mut impl Read, path: &Path) -> Result<(), String> {
    let mut link = String::new();
    entry
        .take(LINK_BYTES)
        .read_to_string(&mut link)
        .map_err(text)?;
    // As `unzip -o`: what is there is replaced.
    let _ = fs::remove_file(path);
    symlink(&link, path).map_err(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_holds_a_million_entries_at_most() {
        assert_eq!(count(ARCHIVE_ENTRIES - 1), Ok(()));
        let reason = "it holds more than 1000000 entries".to_owned();
        assert_eq!(count(ARCHIVE_ENTRIES), Err(reason));
    }

    #[test]
    fn names_decide_the_packing() {
        for (name, expected) in [
            ("a.tar", Some(Packing::Tar)),
            ("a.tgz", Some(Packing::TarGzip)),
            ("a.tar.gz", Some(Packing::TarGzip)),
            ("a.tbz2", Some(Packing::TarBzip2)),
            ("a.tar.bz2", Some(Packing::TarBzip2)),
            ("a.txz", Some(Packing::TarXz)),
            ("a.tar.xz", Some(Packing::TarXz)),
            ("a.gz", Some(Packing::Gzip)),
            ("a.zip", Some(Packing::Zip)),
            ("a.bz2", None),
            ("a.xz", None),
            ("a.jar", None),
            ("tar", None),
        ] {
            assert_eq!(packing(name), expected, "{name}");
        }
    }
}
