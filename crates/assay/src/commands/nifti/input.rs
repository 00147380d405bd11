//! Where volumes come from: files by name, or stdin.

use std::{
    fs::{self, File},
    io::{self, IsTerminal, Read, Seek},
    path::Path,
};

use anyhow::{Context, Result, anyhow, bail};
use nifti_decode::{Irregular, Limits, NiftiError, VolumeFile};

use crate::identify::{Format, instead_of, of_head};

/// Most bytes of a stream that are kept: as many as the default limit on voxels, and what may lie before them.
const MOST_STREAM_BYTES: u64 = (64 << 30) + (64 << 20);

/// Whether a path stands for stdin.
pub(super) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// How a path is named to a user.
pub(super) fn name(path: &Path) -> String {
    if is_stdin(path) { "stdin".to_owned() } else { path.display().to_string() }
}

/// Opens a volume; an error names the file, and what it is if it is something else.
pub(super) fn open(path: &Path) -> Result<VolumeFile> {
    if is_stdin(path) {
        return stdin();
    }
    VolumeFile::open(path).map_err(|error| match error {
        // These say what is wrong with the path itself.
        NiftiError::NotRegular { kind, .. } => irregular(path, kind),
        NiftiError::NoHeader { .. } | NiftiError::NoImage { .. } => error.into(),
        _ => match instead_of(Format::Nifti, path) {
            Some(identity) => anyhow!("{}: {identity}", name(path)),
            None => named(path, error),
        },
    })
}

/// An error in reading the volume at `path`, which it names once.
pub(super) fn named(path: &Path, error: NiftiError) -> anyhow::Error {
    match error {
        NiftiError::Io { .. } | NiftiError::NotRegular { .. } => error.into(),
        _ => anyhow!("{}: {error}", name(path)),
    }
}

fn irregular(path: &Path, kind: Irregular) -> anyhow::Error {
    let refusal = NiftiError::NotRegular { path: path.to_owned(), kind };
    match kind {
        Irregular::Pipe => {
            anyhow!("{refusal}; to read a volume from a pipe, give `-` as the file and pipe it to stdin")
        }
        Irregular::Directory => anyhow!("{refusal}; name the files in it"),
        _ => refusal.into(),
    }
}

/// All bytes of a regular file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    let context = || name(path);
    if let Some(kind) = Irregular::of(fs::metadata(path).with_context(context)?.file_type()) {
        return Err(irregular(path, kind));
    }
    fs::read(path).with_context(context)
}

/// The volume on stdin. A file that is redirected to it is read where it lies. A stream is first copied to a temporary
/// file that has no name, so that nothing is left of it whatever happens.
fn stdin() -> Result<VolumeFile> {
    let mut file = match redirected() {
        Some(file) => file,
        None => spooled()?,
    };
    let mut head = Vec::new();
    file.by_ref().take(1 << 10).read_to_end(&mut head).context("stdin")?;
    VolumeFile::from_file(file, Path::new("stdin"), Limits::default()).map_err(|error| {
        let identity = of_head(Format::Nifti, &head);
        identity.map_or_else(|| named(Path::new("-"), error), |identity| anyhow!("stdin: {identity}"))
    })
}

/// The regular file behind stdin, where nothing of it has been read.
#[cfg(unix)]
fn redirected() -> Option<File> {
    use std::os::fd::AsFd;
    let mut file = File::from(io::stdin().as_fd().try_clone_to_owned().ok()?);
    let is_regular = file.metadata().ok()?.is_file();
    (is_regular && file.stream_position().ok()? == 0).then_some(file)
}

#[cfg(not(unix))]
fn redirected() -> Option<File> {
    None
}

fn spooled() -> Result<File> {
    let stdin = io::stdin().lock();
    if stdin.is_terminal() {
        bail!("stdin is a terminal; pipe a volume to it, or redirect a file");
    }
    let directory = std::env::temp_dir();
    let context = || format!("cannot keep stdin in {}", directory.display());
    let mut file = tempfile::tempfile_in(&directory).map_err(|_| anyhow!("{}: not writable", context()))?;
    let copied = io::copy(&mut stdin.take(MOST_STREAM_BYTES + 1), &mut file).with_context(context)?;
    if copied > MOST_STREAM_BYTES {
        bail!("stdin has more than {MOST_STREAM_BYTES} bytes; write it to a file first");
    }
    file.rewind().with_context(context)?;
    Ok(file)
}
