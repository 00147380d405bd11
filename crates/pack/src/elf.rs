//! Which version of the C library a program needs, and which one a machine has.

use std::fs;
use std::path::Path;

use object::{Object, ObjectSection};

/// Where distributions keep the C library.
const LIBRARIES: [&str; 6] = [
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/lib/aarch64-linux-gnu/libc.so.6",
    "/lib64/libc.so.6",
    "/usr/lib64/libc.so.6",
    "/usr/lib/libc.so.6",
    "/lib/libc.so.6",
];

/// A version of glibc: major and minor.
pub(crate) type Glibc = (u32, u32);

/// The newest version of glibc that a program's symbols name; `None` for one that names none, such as a static program
/// or a script.
pub(crate) fn newest(bytes: &[u8]) -> Option<Glibc> {
    let file = object::File::parse(bytes).ok()?;
    // The names of versions stand among the names of symbols.
    let names = file.section_by_name(".dynstr")?;
    names.data().ok()?.split(|byte| *byte == 0).filter_map(|name| version(std::str::from_utf8(name).ok()?)).max()
}

/// The version of glibc that this machine has; `None` without one, or where it is hidden.
pub(crate) fn here() -> Option<Glibc> {
    LIBRARIES.iter().find_map(|path| newest(&fs::read(Path::new(path)).ok()?))
}

/// "2.36".
pub(crate) fn shown((major, minor): Glibc) -> String {
    format!("{major}.{minor}")
}

/// From "2.36".
pub(crate) fn parsed(text: &str) -> Option<Glibc> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// From a symbol version such as `GLIBC_2.2.5`; `GLIBC_PRIVATE` is none.
fn version(name: &str) -> Option<Glibc> {
    let mut numbers = name.strip_prefix("GLIBC_")?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_ordered() {
        assert_eq!(version("GLIBC_2.2.5"), Some((2, 2)));
        assert_eq!((version("GLIBC_PRIVATE"), version("printf"), version("GLIBC_2")), (None, None, None));
        assert!(parsed("2.9") < parsed("2.36"));
        assert_eq!(shown(parsed("2.36").unwrap()), "2.36");
        assert_eq!(newest(b"#!/bin/sh\n"), None);
    }

    #[test]
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn this_program_needs_no_newer_library_than_this_machine_has() {
        let needed = newest(&fs::read(std::env::current_exe().unwrap()).unwrap()).unwrap();
        assert!(needed >= (2, 2) && Some(needed) <= here(), "{needed:?} {:?}", here());
    }
}
