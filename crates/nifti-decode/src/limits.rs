//! Limits of what a file may make this crate allocate.

/// DEFLATE's hard bound: one bit can stand for at most 129 bytes (a match of 258 bytes costs two bits).
pub(crate) const MOST_EXPANSION: u64 = 1032;
/// Added to the bound, for streams that are too short to reach it.
const EXPANSION_SLACK: u64 = 64 << 10;

/// What a header may make this crate allocate. Checked before anything is allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Most bytes of voxels, as stored.
    pub data_bytes: u64,
    /// Most bytes between the header and the voxels.
    pub extension_bytes: u64,
    /// Most bytes behind the voxels of a gzip stream that are unpacked to verify its checksum.
    pub trailing_bytes: u64,
    /// Whether checksums of gzip streams are verified. Without, the stream is read only as far as the voxels reach.
    pub verify: bool,
}

impl Default for Limits {
    /// 64 GiB of voxels, 64 MiB of extensions, 64 MiB behind the voxels; checksums verified.
    fn default() -> Self {
        Self { data_bytes: 64 << 30, extension_bytes: 64 << 20, trailing_bytes: 64 << 20, verify: true }
    }
}

impl Limits {
    /// These limits with another [`data_bytes`](Self::data_bytes).
    #[must_use]
    pub fn with_data_bytes(self, data_bytes: u64) -> Self {
        Self { data_bytes, ..self }
    }

    /// These limits with checksums verified or not.
    #[must_use]
    pub fn with_verify(self, verify: bool) -> Self {
        Self { verify, ..self }
    }
}

/// Most bytes that `packed` bytes of DEFLATE can stand for.
pub(crate) fn most_unpacked(packed: u64) -> u64 {
    packed.saturating_mul(MOST_EXPANSION).saturating_add(EXPANSION_SLACK)
}
