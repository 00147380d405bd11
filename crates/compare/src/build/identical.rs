//! Proof that two programs are the same machine code.
//!
//! Two builds of equal sources differ in their build id, in the path of their slot, and, after an edit that only moves
//! lines, in the line and column words of panic locations. Everything else that is loaded into memory must be equal,
//! byte for byte: then there is nothing to measure, and SAME is proven without timing.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result};
use object::read::elf::ElfFile64;
use object::{Object, ObjectSection, RelocationTarget, SectionFlags, elf};

type File<'a> = ElfFile64<'a>;

/// Size of `core::panic::Location`: file pointer and length, line, column.
const LINE_OFFSET: u64 = 16;
const COLUMN_OFFSET: u64 = 20;

/// Whether the two executables load the same code and data, apart from the differences that the module's text allows.
/// `slots` are two directory paths of equal length that may occur in either program's strings. Programs in a format
/// other than 64-bit ELF are never called identical: they are measured.
pub fn same_code(base: &Path, head: &Path, slots: [&Path; 2]) -> Result<bool> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("failed to read {}", path.display()));
    let (base, head) = (read(base)?, read(head)?);
    let (Ok(a), Ok(b)) = (File::parse(&*base), File::parse(&*head)) else { return Ok(base == head) };
    let (Some(sections_a), Some(sections_b)) = (loaded(&a), loaded(&b)) else { return Ok(false) };
    if sections_a.len() != sections_b.len() {
        return Ok(false);
    }
    let paths = slots.map(|path| path.as_os_str().as_encoded_bytes());
    let pointers = relocated_pointers(&a);
    let same_pointers = pointers == relocated_pointers(&b);
    for (x, y) in sections_a.iter().zip(&sections_b) {
        let placed_alike = x.name == y.name && x.address == y.address && x.size == y.size;
        if !placed_alike {
            return Ok(false);
        }
        let (left, right) = (unify(x.data, &paths), unify(y.data, &paths));
        if left == right {
            continue;
        }
        let only_locations = same_pointers
            && x.name == ".data.rel.ro"
            && differ_only_in_locations(x.address, &left, &right, &pointers, &sections_a);
        if !only_locations {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Bytes that a program maps at run time: code, data and tables, without symbols and debug information. 0 for a file
/// that is not 64-bit ELF.
pub fn loaded_bytes(program: &Path) -> u64 {
    let Ok(bytes) = std::fs::read(program) else { return 0 };
    let Ok(file) = File::parse(&*bytes) else { return 0 };
    loaded(&file).map_or(0, |sections| sections.iter().map(|section| section.size).sum())
}

struct Section<'a> {
    name: String,
    address: u64,
    size: u64,
    data: &'a [u8],
}

/// The sections that are mapped at run time, without the build id.
fn loaded<'a>(file: &File<'a>) -> Option<Vec<Section<'a>>> {
    let mut sections = Vec::new();
    for section in file.sections() {
        let SectionFlags::Elf { sh_flags, .. } = section.flags() else { return None };
        if !sh_flags.contains(elf::SHF_ALLOC) || section.name().ok()? == ".note.gnu.build-id" {
            continue;
        }
        sections.push(Section {
            name: section.name().ok()?.to_owned(),
            address: section.address(),
            size: section.size(),
            data: section.data().ok()?,
        });
    }
    Some(sections)
}

/// The data with each occurrence of either slot's path replaced by the first slot's.
fn unify(data: &[u8], paths: &[&[u8]; 2]) -> Vec<u8> {
    let mut unified = data.to_vec();
    let [first, second] = paths;
    if first.len() != second.len() || first.is_empty() || first == second {
        return unified;
    }
    let mut at = 0;
    while let Some(found) = unified[at..].windows(second.len()).position(|window| window == *second) {
        unified[at + found..at + found + second.len()].copy_from_slice(first);
        at += found + second.len();
    }
    unified
}

/// Addresses where the loader writes a pointer into the image, and what the pointer points at (`R_X86_64_RELATIVE` and
/// its like).
fn relocated_pointers(file: &File<'_>) -> HashMap<u64, u64> {
    let Some(relocations) = file.dynamic_relocations() else { return HashMap::new() };
    relocations
        .filter(|(_, relocation)| relocation.target() == RelocationTarget::Absolute)
        .map(|(address, relocation)| (address, relocation.addend() as u64))
        .collect()
}

/// Whether every differing 32-bit word is the line or the column of a panic location. Such a word has, 16 or 20 bytes
/// before it, a relocated pointer to a string that ends in ".rs", followed by the string's length.
fn differ_only_in_locations(
    address: u64,
    left: &[u8],
    right: &[u8],
    pointers: &HashMap<u64, u64>,
    sections: &[Section<'_>],
) -> bool {
    let is_location = |start: u64| -> bool {
        let Some(&file) = pointers.get(&(address + start)) else { return false };
        let start = start as usize;
        let length =
            |data: &[u8]| data.get(start + 8..start + 16).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
        let (Some(n), Some(m)) = (length(left), length(right)) else { return false };
        n == m && n < 4096 && bytes_at(file, n, sections).is_some_and(|name| name.ends_with(b".rs"))
    };
    (0..left.len() as u64).step_by(4).all(|word| {
        let range = word as usize..(word as usize + 4).min(left.len());
        left[range.clone()] == right[range]
            || [LINE_OFFSET, COLUMN_OFFSET]
                .iter()
                .any(|offset| word.checked_sub(*offset).is_some_and(|start| start % 8 == 0 && is_location(start)))
    })
}

fn bytes_at<'a>(address: u64, length: u64, sections: &[Section<'a>]) -> Option<&'a [u8]> {
    let section = sections.iter().find(|s| s.address <= address && address - s.address < s.size)?;
    let start = usize::try_from(address - section.address).ok()?;
    section.data.get(start..start.checked_add(usize::try_from(length).ok()?)?)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use std::process::Command;

    /// Compiles `source` as a program in a directory of its own, as `a` or `b`.
    fn compile(directory: &Path, letter: &str, source: &str) -> PathBuf {
        let slot = directory.join(letter);
        std::fs::create_dir_all(&slot).unwrap();
        std::fs::write(slot.join("main.rs"), source).unwrap();
        let mut rustc = Command::new("rustc");
        rustc.args(["--edition=2024", "-O", "--crate-name=main", "main.rs", "-o", "main"]).current_dir(&slot);
        crate::command::run(&mut rustc).unwrap();
        slot.join("main")
    }

    fn judged(base: &str, head: &str) -> bool {
        let directory = tempfile::tempdir().unwrap();
        let (a, b) = (compile(directory.path(), "a", base), compile(directory.path(), "b", head));
        same_code(&a, &b, [&directory.path().join("a"), &directory.path().join("b")]).unwrap()
    }

    const SOURCE: &str = "fn main() { let v: Vec<u64> = std::env::args().map(|a| a.len() as u64 * 7).collect();\n\
        println!(\"{}\", v[v.len() / 2]); }\n";

    #[test]
    fn a_comment_that_moves_lines_is_no_change_and_a_constant_is_one() {
        assert!(judged(SOURCE, SOURCE));
        assert!(judged(SOURCE, &format!("// one more line\n\n{SOURCE}")), "only panic locations moved");
        assert!(!judged(SOURCE, &SOURCE.replace("* 7", "* 11")), "one constant differs");
        assert!(!judged(SOURCE, &SOURCE.replace("{}", "{}!")), "one string differs");
    }

    #[test]
    fn files_that_are_no_programs_are_the_same_only_byte_for_byte() {
        let directory = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| directory.path().join(name));
        std::fs::write(&a, "#!/bin/sh\n").unwrap();
        std::fs::write(&b, "#!/bin/sh\n").unwrap();
        assert!(same_code(&a, &b, [&a, &b]).unwrap());
        std::fs::write(&b, "#!/bin/bash\n").unwrap();
        assert!(!same_code(&a, &b, [&a, &b]).unwrap());
    }
}
