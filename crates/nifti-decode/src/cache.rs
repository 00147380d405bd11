//! Unpacked copies of volumes, kept in a directory and keyed to what they were made from.
//!
//! A copy is a plain NIfTI file of the same type with its voxels on a page's boundary, in this machine's byte order, so
//! any tool can open it, and this crate can map it and read a patch in the time that a patch takes. An extension holds
//! the source's identity and the statistics. The name is the identity: a source that changes gets another copy.

use std::{
    fs,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use serde::{Deserialize, Serialize};

use crate::{
    Decoder, Endian, Extension, Header, NiftiError, Pack, Packing, Plan, Stats, Version, VolumeFile, gzip::crc32,
    identity, stats, write,
};

/// Voxels begin at a multiple of this.
const PAGE: u64 = 4096;
/// Code of an extension that is text.
const COMMENT: i32 = 6;

/// The content of a copy's extension.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Note {
    /// Of the source, 16 hexadecimal digits in the file's name.
    source: u64,
    stats: Option<Stats>,
}

impl VolumeFile {
    /// The unpacked copy of this volume in `directory`, made now if it is missing or damaged. It carries the
    /// statistics.
    ///
    /// Opened by [`open`](Self::open), or mapped by [`map`](Self::map) where no other program writes to the directory.
    ///
    /// # Errors
    /// Faults in the voxels' part of the file, and [`NiftiError::Io`].
    pub fn cached(&self, decoder: &mut Decoder, directory: &Path) -> Result<PathBuf, NiftiError> {
        let source = self.version()?;
        let path = directory.join(format!("{source:016x}.nii"));
        if let Ok(copy) = Self::open(&path)
            && copy.note().is_some_and(|note| note.source == source)
            && copy.packing() == Packing::Plain
        {
            return Ok(path);
        }
        fs::create_dir_all(directory).map_err(|error| NiftiError::Io { path: directory.to_owned(), source: error })?;
        let mut voxels = vec![0; self.data_bytes];
        self.copy_into(decoder, None, &mut voxels)?;
        let scaling = self.scaling(&Plan::scaled());
        let stats = match self.datatype.is_real() {
            true => Some(stats::of_stored(&voxels, self.datatype, Endian::NATIVE, &scaling)?),
            false => None,
        };
        let note = serde_json::to_vec(&Note { source, stats }).unwrap_or_default();
        let mut extensions: Vec<Extension> = self.extensions.clone();
        extensions.push(Extension { ecode: COMMENT, content: note });
        let size: usize = extensions.iter().map(|extension| extension.content.len() + 32).sum();
        let header = self.copy_header(size as u64);
        write(&path, &header, &extensions, &voxels, Pack::Plain)?;
        Ok(path)
    }

    /// The statistics that a copy carries; `None` for files that are not copies.
    pub fn cached_stats(&self) -> Option<Stats> {
        self.note().and_then(|note| note.stats)
    }

    fn note(&self) -> Option<Note> {
        let text = self.extensions.iter().rev().find(|extension| extension.ecode == COMMENT)?;
        let end = text.content.iter().rposition(|&b| b != 0)? + 1;
        serde_json::from_slice(&text.content[..end]).ok()
    }

    fn copy_header(&self, extension_bytes: u64) -> Header {
        let mut header = self.header.clone();
        if header.version == Version::Analyze {
            header = Header { version: Version::Nifti1, ..header }.with_affine(&self.affine());
        }
        if let Some(scale) = self.scale {
            header = header.with_scale(scale.slope, scale.inter);
        }
        let least = header.version.least_vox_offset() + extension_bytes;
        Header { endian: Endian::NATIVE, is_pair: false, vox_offset: least.next_multiple_of(PAGE) as f64, ..header }
    }

    /// Identifies this version of the files: by the ends of their content, their lengths and their times of change.
    fn version(&self) -> Result<u64, NiftiError> {
        let modified_ns = |path: &PathBuf| {
            let modified = fs::metadata(path).and_then(|metadata| metadata.modified()).ok()?;
            modified.duration_since(UNIX_EPOCH).ok().map(|since| since.as_nanos() as u64)
        };
        let times = self.paths.iter().filter_map(modified_ns).fold(0, u64::wrapping_add);
        let image = identity::of(&self.image.bytes, times)?;
        // A pair's header lies in another file.
        let header = self.header.encode()?;
        Ok(image ^ u64::from(crc32(0, &header)) << 16)
    }
}
