//! A file of voxels: opened, checked, not yet read.

use std::{
    fs::File,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    Affine, AffineSource, Datatype, Extension, Got, Header, Index, Limits, NiftiError, Packing, Scale, Version,
    Warning,
    gzip::{
        self,
        blocks::{Block, Table},
    },
    header::{SNIFF_BYTES, parse_extensions},
    source::{Source, header_beside, image_beside, without_header},
};

/// A volume whose header is read and checked. Voxels are read by `decode` and its kin, with memory that a
/// [`Decoder`](crate::Decoder) keeps.
#[derive(Debug)]
pub struct VolumeFile {
    pub(crate) header: Header,
    pub(crate) extensions: Vec<Extension>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) shape: Vec<usize>,
    pub(crate) datatype: Datatype,
    pub(crate) scale: Option<Scale>,
    pub(crate) limits: Limits,
    /// Where the voxels are.
    pub(crate) image: Source,
    pub(crate) data_offset: u64,
    pub(crate) data_bytes: usize,
    /// The members of a blocked file, once they were looked for.
    pub(crate) blocks: Mutex<Table>,
    pub(crate) index: Option<Arc<Index>>,
    affine: (Affine, AffineSource),
    /// Of the header, then of the image if it lies in another file; none in memory.
    pub(crate) paths: Vec<PathBuf>,
}

impl VolumeFile {
    /// Opens a `.nii`, `.nii.gz`, or either file of a `.hdr` and `.img` pair, each packed or not; what a file is, its
    /// content says. Reads the header, and nothing of the voxels.
    ///
    /// # Errors
    /// Whatever [`NiftiError`] says about files and headers.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, NiftiError> {
        Self::open_with(path, Limits::default())
    }

    /// [`open`](Self::open) with limits of the caller's.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(path: impl AsRef<Path>, limits: Limits) -> Result<Self, NiftiError> {
        Self::open_by(path.as_ref(), limits, &Source::open)
    }

    /// [`open`](Self::open) with the files mapped instead of read, so that voxels of unpacked files are converted or
    /// viewed where the system's cache has them.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    ///
    /// # Safety
    /// Until the value is dropped, nobody may change or truncate the files: for trusted files only. A file that shrinks
    /// under a map ends the process.
    pub unsafe fn map(path: impl AsRef<Path>) -> Result<Self, NiftiError> {
        Self::open_by(path.as_ref(), Limits::default(), &|path| {
            // SAFETY: the caller promises it.
            unsafe { Source::map(path) }
        })
    }

    /// A single file that is open already, plain or packed, read from its beginning. `name` stands for it in errors.
    ///
    /// # Errors
    /// As [`open`](Self::open); a header of a pair is an error here.
    pub fn from_file(file: File, name: &Path, limits: Limits) -> Result<Self, NiftiError> {
        Self::single(Source::of_file(file, name)?, limits)
    }

    /// A single file in memory, plain or packed.
    ///
    /// # Errors
    /// As [`open`](Self::open); a header of a pair is an error here.
    pub fn from_bytes(bytes: impl Into<Arc<[u8]>>, limits: Limits) -> Result<Self, NiftiError> {
        Self::single(Source::memory(bytes.into())?, limits)
    }

    fn single(source: Source, limits: Limits) -> Result<Self, NiftiError> {
        let (header, warnings, prefix) = read_header(&source)?;
        if header.is_pair {
            return Err(not_single(&header, &prefix));
        }
        Self::new(header, warnings, &prefix, source, None, limits)
    }

    fn open_by(
        path: &Path,
        limits: Limits,
        open: &dyn Fn(&Path) -> Result<Source, NiftiError>,
    ) -> Result<Self, NiftiError> {
        let path = header_beside(path).unwrap_or_else(|| path.to_owned());
        let source = open(&path)?;
        let (header, warnings, prefix) = read_header(&source).map_err(|error| without_header(&path, error))?;
        let mut paths = vec![path.clone()];
        let image = match header.is_pair {
            false => None,
            true => match image_beside(&path) {
                Ok(image) => {
                    let source = open(&image)?;
                    paths.push(image);
                    Some(source)
                }
                // A file of its own without any magic is no ANALYZE header, whatever else it is.
                Err(_) if header.version == Version::Analyze => return Err(not_single(&header, &prefix)),
                Err(error) => return Err(error),
            },
        };
        let mut file = Self::new(header, warnings, &prefix, source, image, limits)?;
        file.paths = paths;
        Ok(file)
    }

    fn new(
        header: Header,
        mut warnings: Vec<Warning>,
        prefix: &[u8],
        source: Source,
        image: Option<Source>,
        limits: Limits,
    ) -> Result<Self, NiftiError> {
        let (shape, datatype, scale) = (header.shape()?, header.datatype()?, header.scale()?);
        let (extensions, warning) = extensions(&header, prefix, &source, &limits)?;
        warnings.extend(warning);
        let image = image.unwrap_or(source);
        let data_offset = header.vox_offset as u64;
        let data_bytes = shape.iter().product::<usize>() * datatype.bytes();
        check_room(&image, data_offset, data_bytes as u64, &limits)?;
        let affine = Affine::of(&header);
        Ok(Self {
            header,
            extensions,
            warnings,
            shape,
            datatype,
            scale,
            limits,
            image,
            data_offset,
            data_bytes,
            blocks: Mutex::new(Table::new()),
            index: None,
            affine,
            paths: Vec::new(),
        })
    }

    /// The header, its harmless faults mended.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What was mended, in the order of the header.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// What stands between the header and the voxels.
    pub fn extensions(&self) -> &[Extension] {
        &self.extensions
    }

    /// Extents, x first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Extents of the three spatial axes; 1 for those that are not there.
    pub fn spatial_shape(&self) -> [usize; 3] {
        [0, 1, 2].map(|axis| self.shape.get(axis).copied().unwrap_or(1))
    }

    /// Number of voxels.
    pub fn voxels(&self) -> usize {
        self.data_bytes / self.datatype.bytes()
    }

    /// Type of the stored voxels.
    pub fn datatype(&self) -> Datatype {
        self.datatype
    }

    /// Factor and intercept, if the values are scaled.
    pub fn scale(&self) -> Option<Scale> {
        self.scale
    }

    /// Maps voxel indices to coordinates, in the header's unit of length.
    pub fn affine(&self) -> Affine {
        self.affine.0
    }

    /// Which fields the affine comes from.
    pub fn affine_source(&self) -> AffineSource {
        self.affine.1
    }

    /// How the file with the voxels is packed.
    pub fn packing(&self) -> Packing {
        self.image.packing
    }

    /// Bytes of the file with the voxels, as it lies on disk.
    pub fn packed_bytes(&self) -> u64 {
        self.image.bytes.len()
    }

    /// Where the header was read from.
    pub fn path(&self) -> Option<&Path> {
        self.paths.first().map(PathBuf::as_path)
    }

    /// Bytes of the image file before the voxels end, unpacked.
    pub(crate) fn unpacked_need(&self) -> u64 {
        self.data_offset + self.data_bytes as u64
    }

    /// The members of blocked gzip that hold the unpacked bytes `wanted`; `None` where they are not known without
    /// unpacking.
    pub(crate) fn blocks(&self, wanted: Range<u64>) -> Result<Option<Vec<Block>>, NiftiError> {
        if !self.packing().is_blocked() {
            return Ok(None);
        }
        let mut table = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        table.holding(&self.image.bytes, wanted, self.unpacked_need(), &self.limits)
    }
}

/// The header at the beginning of `source`, its warnings, and the bytes that were unpacked for it.
fn read_header(source: &Source) -> Result<(Header, Vec<Warning>, Vec<u8>), NiftiError> {
    let prefix = source.prefix(SNIFF_BYTES.max(gzip::FIRST_BYTES))?;
    let (header, warnings) = Header::parse(&prefix)?;
    Ok((header, warnings, prefix))
}

/// The error for a header that belongs to a pair, where a single file is wanted.
fn not_single(header: &Header, prefix: &[u8]) -> NiftiError {
    let offset = if header.version == Version::Nifti2 { 4 } else { 344 };
    let got = prefix.get(offset..offset + 4).and_then(|magic| magic.first_chunk().copied()).unwrap_or_default();
    NiftiError::Field {
        field: "magic",
        offset: offset as u64,
        got: Got::Text(got),
        need: "\"n+1\" or \"n+2\" in a single file",
    }
}

fn extensions(
    header: &Header,
    prefix: &[u8],
    source: &Source,
    limits: &Limits,
) -> Result<(Vec<Extension>, Option<Warning>), NiftiError> {
    let start = header.version.header_bytes();
    if header.version == Version::Analyze || prefix.get(start).is_none_or(|&extender| extender == 0) {
        return Ok((Vec::new(), None));
    }
    let end = if header.is_pair { source.most_unpacked() } else { header.vox_offset as u64 };
    let bytes = end.saturating_sub(start as u64);
    let there = source.most_unpacked();
    let what = "what lies before the voxels";
    if !header.is_pair && bytes > limits.extension_bytes {
        return Err(NiftiError::TooLarge { what, got: bytes, limit: limits.extension_bytes });
    }
    if !header.is_pair && end > there {
        let limit = there.saturating_sub(start as u64);
        return Err(match source.packing {
            Packing::Plain => NiftiError::Truncated { what, offset: start as u64, got: limit, need: bytes },
            _ => NiftiError::TooLarge { what, got: bytes, limit },
        });
    }
    let end = start + bytes.min(limits.extension_bytes) as usize;
    let all;
    let region = if end <= prefix.len() {
        &prefix[start..end]
    } else {
        all = source.prefix(end)?;
        &all[start..]
    };
    Ok(parse_extensions(region, start as u64, header.endian))
}

/// Whether the image can hold the voxels: known before any memory is asked for.
fn check_room(image: &Source, data_offset: u64, data_bytes: u64, limits: &Limits) -> Result<(), NiftiError> {
    if data_bytes > limits.data_bytes {
        return Err(NiftiError::TooLarge { what: "the voxels", got: data_bytes, limit: limits.data_bytes });
    }
    let (need, most) = (data_offset.saturating_add(data_bytes), image.most_unpacked());
    if need <= most {
        return Ok(());
    }
    if image.packing == Packing::Plain {
        let got = most.saturating_sub(data_offset);
        return Err(NiftiError::Truncated { what: "the voxels", offset: data_offset, got, need: data_bytes });
    }
    Err(NiftiError::TooLarge { what: "what the gzip stream unpacks to", got: need, limit: most })
}
