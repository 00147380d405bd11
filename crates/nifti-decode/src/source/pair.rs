//! The other file of a pair: `x.hdr` and `x.img`, each packed or not.

use std::path::{Path, PathBuf};

use crate::NiftiError;

/// `path` without `.gz`, and whether it ended in `.gz`.
fn without_gz(path: &Path) -> (PathBuf, bool) {
    let is_gz = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
    if is_gz { (path.with_extension(""), true) } else { (path.to_owned(), false) }
}

/// Whether a name ends in `extension`, `.gz` aside.
fn has_extension(path: &Path, extension: &str) -> bool {
    without_gz(path).0.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

/// Names that `path` becomes with another extension: first the one that is packed as `path` is. Upper case stays upper
/// case.
fn with_other(path: &Path, extension: &str) -> [PathBuf; 2] {
    let (bare, is_gz) = without_gz(path);
    let is_upper = bare.extension().is_some_and(|found| found.to_string_lossy().chars().all(char::is_uppercase));
    let plain = bare.with_extension(if is_upper { extension.to_uppercase() } else { extension.to_owned() });
    let mut packed = plain.clone().into_os_string();
    packed.push(".gz");
    if is_gz { [packed.into(), plain] } else { [plain, packed.into()] }
}

/// The header's file, if `path` has an image's name and the header exists.
pub(crate) fn header_beside(path: &Path) -> Option<PathBuf> {
    has_extension(path, "img").then(|| with_other(path, "hdr").into_iter().find(|path| path.exists()))?
}

/// The image's file of a header's.
pub(crate) fn image_beside(header: &Path) -> Result<PathBuf, NiftiError> {
    let tried = with_other(header, "img");
    match tried.iter().find(|path| path.exists() && path.as_path() != header) {
        Some(path) => Ok(path.clone()),
        None => {
            let [tried, _] = tried;
            Err(NiftiError::NoImage { header: header.to_owned(), tried })
        }
    }
}

/// The error for a file at `path` that is no volume by itself: of an image, that its header is missing.
pub(crate) fn without_header(path: &Path, error: NiftiError) -> NiftiError {
    match error {
        NiftiError::NotNifti { .. } | NiftiError::Truncated { what: "header", .. } if has_extension(path, "img") => {
            let [tried, _] = with_other(path, "hdr");
            NiftiError::NoHeader { image: path.to_owned(), tried }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_other_file() {
        let names = |path: &str, extension| with_other(Path::new(path), extension).map(|p| p.display().to_string());
        assert_eq!(names("a/b.hdr", "img"), ["a/b.img", "a/b.img.gz"]);
        assert_eq!(names("a/b.hdr.gz", "img"), ["a/b.img.gz", "a/b.img"]);
        assert_eq!(names("B.HDR", "img"), ["B.IMG", "B.IMG.gz"]);
        assert_eq!(names("v.1.img", "hdr"), ["v.1.hdr", "v.1.hdr.gz"]);
        assert!(has_extension(Path::new("x.img.gz"), "img") && !has_extension(Path::new("x.nii.gz"), "img"));
    }
}
