//! Writes volumes: every type, both byte orders, both versions, single files or pairs, plain or packed in every way
//! that this crate reads. A file appears whole or not at all.

mod atomic;
mod pack;

use std::path::Path;

use crate::{Extension, Header, NiftiError, Version, Watch, copy::swap_copy, header::encode_extensions};

use atomic::Complete;
pub use atomic::atomically;
pub use pack::Pack;

/// Writes a volume to `path`: `header` in its own version and byte order, `extensions`, and `voxels` as they are
/// stored, in this machine's byte order, x first.
///
/// `bitpix` follows from the datatype, and `vox_offset` from the extensions unless the header's is larger. Where the
/// header is of a pair, `path` names its file and the image lies beside it, packed alike.
///
/// # Errors
/// [`NiftiError::Buffer`] where `voxels` does not have the bytes of the header's shape, [`NiftiError::Unstorable`] for
/// what the version cannot hold, [`NiftiError::Io`].
pub fn write(
    path: &Path,
    header: &Header,
    extensions: &[Extension],
    voxels: &[u8],
    pack: Pack,
) -> Result<(), NiftiError> {
    write_parts(path, header, assemble(header, extensions, voxels)?, pack)
}

/// As [`write()`]; `watch` counts the unpacked bytes that are packed and written.
///
/// # Errors
/// As [`write()`].
pub fn write_watched(
    path: &Path,
    header: &Header,
    extensions: &[Extension],
    voxels: &[u8],
    pack: Pack,
    watch: &Watch,
) -> Result<(), NiftiError> {
    let parts = assemble(header, extensions, voxels)?.map(|part| Unpacked { watch: Some(watch), ..part });
    write_parts(path, header, parts, pack)
}

fn write_parts(path: &Path, header: &Header, parts: [Unpacked<'_>; 2], pack: Pack) -> Result<(), NiftiError> {
    if !header.is_pair {
        let [single, _] = parts;
        return atomically(path, |file| pack.write(&single, file));
    }
    let [head, image] = parts;
    let image_path = image_path(path);
    // Both are complete before either replaces what was there. The image is renamed first: an image without a header is
    // refused by every reader.
    let image = Complete::new(&image_path, |file| pack.write(&image, file))?;
    let head = Complete::new(path, |file| pack.write(&head, file))?;
    image.appear()?;
    head.appear()
}

/// The bytes of a single file, packed; see [`write()`].
///
/// # Errors
/// As [`write()`]; a header of a pair is [`NiftiError::Unstorable`].
pub fn encode(header: &Header, extensions: &[Extension], voxels: &[u8], pack: Pack) -> Result<Vec<u8>, NiftiError> {
    if header.is_pair {
        return Err(NiftiError::Unstorable { field: "magic", got: 1, need: "a single file" });
    }
    let [single, _] = assemble(header, extensions, voxels)?;
    let mut bytes = Vec::new();
    pack.write(&single, &mut bytes)
        .map_err(|source| NiftiError::Io { path: Path::new("memory").to_owned(), source })?;
    Ok(bytes)
}

/// The image's name beside a header's: `.img` for `.hdr`, with the same packing.
fn image_path(header: &Path) -> std::path::PathBuf {
    match header.extension() {
        Some(extension) if extension.eq_ignore_ascii_case("gz") => {
            let mut name = header.with_extension("").with_extension("img").into_os_string();
            name.push(".gz");
            name.into()
        }
        _ => header.with_extension("img"),
    }
}

/// The unpacked files: a single file and an empty one, or header and image.
fn assemble<'a>(header: &Header, extensions: &[Extension], voxels: &'a [u8]) -> Result<[Unpacked<'a>; 2], NiftiError> {
    if header.version == Version::Analyze {
        return Err(NiftiError::Unstorable { field: "magic", got: 0, need: "NIfTI-1 or NIfTI-2" });
    }
    let datatype = header.datatype()?;
    let need = header.shape()?.iter().product::<usize>() * datatype.bytes();
    if voxels.len() != need {
        return Err(NiftiError::Buffer { got: voxels.len(), need });
    }
    let extra = encode_extensions(extensions, header.endian)?;
    let least = if header.is_pair { 0 } else { (header.version.header_bytes() + extra.len()) as u64 };
    // Written so that NaN is replaced too.
    let vox_offset = if header.vox_offset > least as f64 { header.vox_offset } else { least as f64 };
    let header = Header { bitpix: datatype.bytes() as i32 * 8, vox_offset, ..header.clone() };
    let mut prefix = header.encode()?;
    prefix.extend(extra);
    let unit = if header.endian.is_swapped() { datatype.unit_bytes() } else { 1 };
    if header.is_pair {
        let padding = vec![0; vox_offset as usize];
        return Ok([Unpacked::new(prefix, &[], 1), Unpacked::new(padding, voxels, unit)]);
    }
    prefix.resize(vox_offset as usize, 0);
    Ok([Unpacked::new(prefix, voxels, unit), Unpacked::new(Vec::new(), &[], 1)])
}

/// The unpacked bytes of a file; the voxels are not copied.
pub(crate) struct Unpacked<'a> {
    prefix: Vec<u8>,
    voxels: &'a [u8],
    /// Bytes of the numbers whose byte order is swapped; 1 for none.
    unit: usize,
    /// Counts the bytes of each piece.
    watch: Option<&'a Watch>,
}

impl<'a> Unpacked<'a> {
    fn new(prefix: Vec<u8>, voxels: &'a [u8], unit: usize) -> Self {
        Self { prefix, voxels, unit, watch: None }
    }

    pub(crate) fn len(&self) -> usize {
        self.prefix.len() + self.voxels.len()
    }

    /// At most `most` bytes from `start` on.
    pub(crate) fn piece(&self, start: usize, most: usize) -> Vec<u8> {
        let end = start.saturating_add(most).min(self.len());
        if let Some(watch) = self.watch {
            watch.add((end - start) as u64);
        }
        let mut piece = Vec::with_capacity(end - start);
        let prefix = self.prefix.len();
        piece.extend_from_slice(&self.prefix[start.min(prefix)..end.min(prefix)]);
        let (from, to) = (start.max(prefix) - prefix, end.max(prefix) - prefix);
        if self.unit == 1 {
            piece.extend_from_slice(&self.voxels[from..to]);
            return piece;
        }
        // Numbers are swapped whole; what lies outside the piece is cut off afterward.
        let (first, last) = (from / self.unit * self.unit, to.next_multiple_of(self.unit).min(self.voxels.len()));
        let mut swapped = vec![0; last - first];
        swap_copy(self.unit, &self.voxels[first..last], &mut swapped);
        piece.extend_from_slice(&swapped[from - first..to - first]);
        piece
    }
}

impl Header {
    /// This header with `affine` as its sform, of the code 1 (scanner), and its distances in `pixdim`.
    #[must_use]
    pub fn with_affine(mut self, affine: &crate::Affine) -> Self {
        [self.srow_x, self.srow_y, self.srow_z] = [affine.0[0], affine.0[1], affine.0[2]];
        self.sform_code = 1;
        self.pixdim[1..4].copy_from_slice(&affine.spacing());
        self
    }

    /// This header with values scaled by `slope` and `inter`.
    #[must_use]
    pub fn with_scale(self, slope: f64, inter: f64) -> Self {
        Self { scl_slope: slope, scl_inter: inter, ..self }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use super::*;

    /// Records what a watch shows at each write.
    struct Seen<'a>(&'a Watch, Vec<u64>);

    impl Write for Seen<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1.push(self.0.bytes());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_watch_follows_long_writes() {
        let voxels: Vec<u8> = (0..20_u32 << 20).map(|i| (i.wrapping_mul(i) >> 13) as u8).collect();
        for pack in
            [Pack::Plain, Pack::Gzip { level: 1 }, Pack::Bgzf { level: 1 }, Pack::Mgzip { level: 1, bytes: 99_999 }]
        {
            let watch = Watch::default();
            let file = Unpacked { watch: Some(&watch), ..Unpacked::new(vec![1; 352], &voxels, 1) };
            let mut seen = Seen(&watch, Vec::new());
            pack.write(&file, &mut seen).unwrap();
            let mut shown = seen.1;
            assert!(shown.is_sorted(), "{pack:?}");
            shown.dedup();
            assert!(shown.len() >= 4, "{pack:?}: {shown:?}");
            assert_eq!(watch.bytes(), 352 + voxels.len() as u64, "{pack:?}");
        }
    }
}
