//! What a file is that is not what its name promises: one table of magic numbers for all tools.
//!
//! Volumes and models arrive by download, by Git and by hand, and what arrives is often something else: a pointer to
//! the file, a web page, the same data in another format. The table names it and says what to do. A gzip file is looked
//! into: its first kilobyte is unpacked and looked up in the same table.

use std::{
    fmt,
    fs::{self, File},
    io::Read,
    path::Path,
};

use zlib_rs::{Inflate, InflateFlush};

/// Bytes at the beginning of a file that are looked at: tar has its magic at byte 257.
const HEAD_BYTES: usize = 1 << 10;

/// A format that a tool can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Gguf,
    Nifti,
}

/// A kind of file: a row of the table.
#[derive(Debug)]
pub(crate) struct Kind {
    /// With its article: `a ZIP archive`.
    name: &'static str,
    /// What to do about it.
    advice: &'static str,
    /// How its first bytes are told from others.
    rule: Rule,
    /// The format of our tools that it is, if it is one.
    format: Option<Format>,
}

#[derive(Debug)]
enum Rule {
    /// These bytes stand at this place.
    At(usize, &'static [u8]),
    /// What no run of bytes tells.
    Test(fn(&[u8]) -> bool),
}

const fn kind(name: &'static str, rule: Rule, advice: &'static str) -> Kind {
    Kind { name, advice, rule, format: None }
}

const UNPACK: &str = "unpack it first";
const ANNEX: &str = "`git annex get FILE` (or `datalad get FILE`) fetches the content";
const OLD_GGML: &str = "it is older than GGUF; convert it with a llama.cpp of its time, or download the model as GGUF";
const CONVERT_VOLUME: &str = "convert it to NIfTI first, with nibabel for example";

/// Specific rules stand before general ones: the first that holds is taken.
const KINDS: &[Kind] = &[
    kind("an empty file", Rule::Test(<[u8]>::is_empty), "the download or the copy failed"),
    kind(
        "a Git LFS pointer, not the file itself",
        Rule::At(0, b"version https://git-lfs"),
        "`git lfs pull` fetches the file",
    ),
    kind("a git-annex pointer, not the file itself", Rule::Test(is_annex_pointer), ANNEX),
    kind(
        "an HTML page",
        Rule::Test(is_html),
        "the server answered with a page, of a login or an error perhaps; open it as text, then download again",
    ),
    kind("an XML file", Rule::At(0, b"<?xml"), "open it as text to see what it is"),
    Kind { format: Some(Format::Gguf), ..kind("a GGUF file", Rule::At(0, b"GGUF"), "`assay gguf` reads it") },
    Kind {
        format: Some(Format::Nifti),
        ..kind("a NIfTI or ANALYZE file", Rule::Test(is_nifti), "`assay nifti` reads it")
    },
    kind("a DICOM file", Rule::At(128, b"DICM"), "convert the series to NIfTI with dcm2niix"),
    kind("an old GGML model", Rule::At(0, b"lmgg"), OLD_GGML),
    kind("an old GGML model (GGMF)", Rule::At(0, b"fmgg"), OLD_GGML),
    kind("an old GGML model (GGJT)", Rule::At(0, b"tjgg"), OLD_GGML),
    kind("an old GGML adapter (GGLA)", Rule::At(0, b"algg"), OLD_GGML),
    kind(
        "a safetensors file",
        Rule::Test(is_safetensors),
        "convert the model to GGUF with llama.cpp's convert_hf_to_gguf.py",
    ),
    kind(
        "a ZIP archive",
        Rule::At(0, b"PK\x03\x04"),
        "unpack it first; a PyTorch model is one too, and has to be converted",
    ),
    kind("an empty ZIP archive", Rule::At(0, b"PK\x05\x06"), "there is nothing in it"),
    kind("a gzip file", Rule::At(0, b"\x1f\x8b"), UNPACK),
    kind("a bzip2 file", Rule::At(0, b"BZh"), "unpack it first, with bunzip2"),
    kind("an xz file", Rule::At(0, b"\xfd7zXZ\0"), "unpack it first, with unxz"),
    kind("a Zstandard file", Rule::At(0, b"\x28\xb5\x2f\xfd"), "unpack it first, with unzstd"),
    kind("an LZ4 file", Rule::At(0, b"\x04\x22\x4d\x18"), "unpack it first, with unlz4"),
    kind("a 7z archive", Rule::At(0, b"7z\xbc\xaf\x27\x1c"), UNPACK),
    kind("a tar archive", Rule::At(257, b"ustar"), UNPACK),
    kind("a NumPy array", Rule::At(0, b"\x93NUMPY"), "numpy.load reads it"),
    kind(
        "an HDF5 file",
        Rule::At(0, b"\x89HDF\r\n\x1a\n"),
        "MINC 2 volumes and Keras models are such; convert it first",
    ),
    kind("a NetCDF file", Rule::At(0, b"CDF\x01"), CONVERT_VOLUME),
    kind("an NRRD volume", Rule::At(0, b"NRRD"), CONVERT_VOLUME),
    kind("a MetaImage volume", Rule::At(0, b"ObjectType ="), CONVERT_VOLUME),
    kind(
        "a Python pickle",
        Rule::Test(is_pickle),
        "PyTorch models and nnU-Net's properties are such; do not load one you do not trust",
    ),
    kind("a PNG image", Rule::At(0, b"\x89PNG\r\n\x1a\n"), "it holds no volume and no model"),
    kind("a JPEG image", Rule::At(0, b"\xff\xd8\xff"), "it holds no volume and no model"),
    kind("a PDF document", Rule::At(0, b"%PDF-"), "it holds no volume and no model"),
    kind("an MGH volume (FreeSurfer)", Rule::At(0, &[0, 0, 0, 1]), "convert it to NIfTI with FreeSurfer's mri_convert"),
    kind(
        "a file that begins with nothing but zeros",
        Rule::Test(|head| head.len() >= 256 && head.iter().all(|&b| b == 0)),
        "a download that was interrupted leaves such; fetch it again",
    ),
];

fn is_annex_pointer(head: &[u8]) -> bool {
    head.starts_with(b"/annex/objects/") || head.starts_with(b"../") && contains(head, b".git/annex/objects/")
}

fn contains(head: &[u8], wanted: &[u8]) -> bool {
    head.windows(wanted.len()).any(|window| window == wanted)
}

fn is_html(head: &[u8]) -> bool {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    [&b"<!doctype html"[..], b"<html", b"<head"]
        .iter()
        .any(|tag| text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag)))
}

fn is_nifti(head: &[u8]) -> bool {
    head.first_chunk().is_some_and(|&first| {
        [i32::from_le_bytes(first), i32::from_be_bytes(first)].iter().any(|size| matches!(size, 348 | 540))
    })
}

/// The length of a JSON header, then the header.
fn is_safetensors(head: &[u8]) -> bool {
    let Some((length, rest)) = head.split_first_chunk::<8>() else { return false };
    // The limit that the format sets.
    let is_length = (2..=100_000_000).contains(&u64::from_le_bytes(*length));
    is_length && (rest.starts_with(b"{\"") || rest.starts_with(b"{}"))
}

/// Protocol 2 to 5, then an opcode that begins a frame, a mapping, a list or the magic number of PyTorch's old format.
fn is_pickle(head: &[u8]) -> bool {
    matches!(head, [0x80, 2..=5, b'}' | b']' | b'(' | b'c' | 0x8a | 0x95, ..])
}

impl Kind {
    fn holds(&self, head: &[u8]) -> bool {
        match self.rule {
            Rule::At(at, magic) => head.get(at..).is_some_and(|rest| rest.starts_with(magic)),
            Rule::Test(test) => test(head),
        }
    }
}

/// What a file is, and what to do about it; displayed as both.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// `a ZIP archive inside a gzip file`.
    pub(crate) name: String,
    pub(crate) advice: &'static str,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this is {}; {}", self.name, self.advice)
    }
}

/// What the file at `path` is instead of `wanted`; `None` where it looks like `wanted`, is unknown, or cannot be read.
pub(crate) fn instead_of(wanted: Format, path: &Path) -> Option<Identity> {
    if let Some(target) = fs::read_link(path).ok().filter(|_| !path.exists()) {
        let is_annexed = contains(target.as_os_str().as_encoded_bytes(), b".git/annex/objects/");
        return is_annexed.then(|| Identity { name: "a git-annex link without its content".to_owned(), advice: ANNEX });
    }
    // Opening a named pipe would wait for somebody to write to it.
    if !path.metadata().ok()?.is_file() {
        return None;
    }
    let mut head = Vec::new();
    File::open(path).ok()?.take(HEAD_BYTES as u64).read_to_end(&mut head).ok()?;
    of_head(wanted, &head)
}

/// What a file is that begins with `head`: its first kilobyte, or all of it.
pub(crate) fn of_head(wanted: Format, head: &[u8]) -> Option<Identity> {
    let first = lookup(head)?;
    let inner = if head.starts_with(b"\x1f\x8b") { unpacked(head) } else { Vec::new() };
    let identity = match lookup(&inner).filter(|_| !inner.is_empty()) {
        // Volumes are often packed, models never.
        Some(inside) if inside.format == Some(wanted) && wanted == Format::Nifti => return None,
        Some(inside) => Identity { name: format!("{} inside a gzip file", inside.name), advice: inside.advice },
        None if first.format == Some(wanted) || !inner.is_empty() && wanted == Format::Nifti => return None,
        None => Identity { name: first.name.to_owned(), advice: first.advice },
    };
    Some(identity)
}

fn lookup(head: &[u8]) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.holds(head))
}

/// What the beginning of a gzip file unpacks to, up to a kilobyte; nothing where it is damaged.
fn unpacked(packed: &[u8]) -> Vec<u8> {
    // 16 above zlib's window: a gzip header is read instead of zlib's.
    let mut inflate = Inflate::new(true, 15 + 16);
    let mut unpacked = vec![0; HEAD_BYTES];
    // An error leaves what was unpacked before it.
    let _ = inflate.decompress(packed, &mut unpacked, InflateFlush::NoFlush);
    unpacked.truncate(usize::try_from(inflate.total_out()).unwrap_or(0));
    unpacked
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A member of stored blocks, so that no compressor is needed; the checksum is not looked at.
    fn gzip(content: &[u8]) -> Vec<u8> {
        let length = content.len() as u16;
        let mut packed = b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x01".to_vec();
        packed.extend(length.to_le_bytes());
        packed.extend((!length).to_le_bytes());
        packed.extend(content);
        packed
    }

    #[track_caller]
    fn check(head: &[u8], as_volume: Option<&str>, as_model: Option<&str>) {
        let name = |wanted| of_head(wanted, head).map(|identity| identity.name);
        assert_eq!(name(Format::Nifti).as_deref(), as_volume);
        assert_eq!(name(Format::Gguf).as_deref(), as_model);
    }

    #[test]
    fn files_are_told_by_their_first_bytes() {
        let both = |head: &[u8], name| check(head, Some(name), Some(name));
        both(b"", "an empty file");
        both(
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n",
            "a Git LFS pointer, not the file itself",
        );
        both(b"/annex/objects/MD5E-s1--ab.nii.gz\n", "a git-annex pointer, not the file itself");
        both(b"\n <!DOCTYPE HTML><html>", "an HTML page");
        both(b"\xef\xbb\xbf<html lang=\"en\">", "an HTML page");
        both(&[&[0; 128][..], b"DICM", &[0; 100]].concat(), "a DICOM file");
        both(b"PK\x03\x04....", "a ZIP archive");
        both(b"BZh91AY", "a bzip2 file");
        both(b"\xfd7zXZ\0..", "an xz file");
        both(b"\x28\xb5\x2f\xfd..", "a Zstandard file");
        both(&[&[b'x'; 257][..], b"ustar\0"].concat(), "a tar archive");
        both(b"\0\0\0\x01\0\0\0\x10", "an MGH volume (FreeSurfer)");
        both(b"tjgg\x03\0\0\0", "an old GGML model (GGJT)");
        both(b"lmgg\0", "an old GGML model");
        both(b"\x63\0\0\0\0\0\0\0{\"a\":", "a safetensors file");
        both(&[0; 400], "a file that begins with nothing but zeros");
        both(&gzip(b"\0\0\0\x01\0\0\0\x10"), "an MGH volume (FreeSurfer) inside a gzip file");
        both(&gzip(&gzip(b"\x5c\x01\0\0")), "a gzip file inside a gzip file");
        both(&gzip(b"<html>"), "an HTML page inside a gzip file");
    }

    #[test]
    fn what_was_wanted_is_no_surprise() {
        let nifti = [0x5c, 1, 0, 0, 0, 0, 0, 0];
        check(&nifti, None, Some("a NIfTI or ANALYZE file"));
        check(&gzip(&nifti), None, Some("a NIfTI or ANALYZE file inside a gzip file"));
        check(b"GGUF\x03\0\0\0", Some("a GGUF file"), None);
        check(&gzip(b"GGUF\x03\0\0\0"), Some("a GGUF file inside a gzip file"), Some("a GGUF file inside a gzip file"));
        check(b"neither one nor the other", None, None);
        // A damaged stream, and one with unknown content: the reader says more.
        check(&gzip(b"neither"), None, Some("a gzip file"));
    }

    #[test]
    fn a_length_alone_is_no_safetensors_file() {
        check(b"\x63\0\0\0\0\0\0\0[1, 2]", None, None);
        check(b"\xff\xff\xff\xff\xff\0\0\0{\"a\":", None, None);
    }
}
