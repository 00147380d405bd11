//! Models in several files: valid ones, and ones whose fault no single part has.

use super::{
    Verdict,
    raw::{Raw, info, pair},
    twin::big_endian,
};
use crate::split::{COUNT, NO, TENSORS_COUNT};

const U16: i32 = 2;
const U32: i32 = 4;
const I32: i32 = 5;
const U64: i32 = 10;
const I8: i32 = 24;

/// The files of a model, and the verdict that a reader should reach.
#[derive(Debug, Clone)]
pub struct Set {
    /// What it tests, as the name of a directory.
    pub name: String,
    /// Names and bytes of the files. The first one is the one to open.
    pub files: Vec<(String, Vec<u8>)>,
    /// The verdict of a reader that follows llama.cpp. A refusal names the variant of
    /// [`SplitError`](crate::split::SplitError), or of [`Rule`](crate::Rule) if a single part breaks a rule, or is `Io`
    /// if a part is missing.
    pub verdict: Verdict,
}

/// The keys of a part.
struct Keys {
    no: Option<Vec<u8>>,
    count: Option<Vec<u8>>,
    tensors: Option<Vec<u8>>,
}

fn u16_pair(key: &str, value: u16) -> Option<Vec<u8>> {
    Some(pair(key, U16, &value.to_le_bytes()))
}

fn i32_pair(key: &str, value: i32) -> Option<Vec<u8>> {
    Some(pair(key, I32, &value.to_le_bytes()))
}

fn keys(no: u16, count: u16, tensors: i32) -> Keys {
    Keys { no: u16_pair(NO, no), count: u16_pair(COUNT, count), tensors: i32_pair(TENSORS_COUNT, tensors) }
}

/// A file with these keys and tensors of three bytes each.
fn part(keys: Keys, tensors: &[&str]) -> Vec<u8> {
    let infos: Vec<_> = tensors.iter().zip(0..).map(|(name, i)| info(name, &[3], I8, 32 * i)).collect();
    let pairs = [keys.no, keys.count, keys.tensors].into_iter().flatten().collect();
    Raw { pairs, data_bytes: 32 * infos.len(), infos, ..Raw::default() }.bytes()
}

fn named(no: usize, count: usize) -> String {
    format!("m-{no:05}-of-{count:05}.gguf")
}

/// A set whose parts have the right names.
fn set(name: &str, verdict: Verdict, parts: Vec<Vec<u8>>) -> Set {
    let count = parts.len();
    let files = (1..).zip(parts).map(|(no, bytes)| (named(no, count), bytes)).collect();
    Set { name: name.to_owned(), files, verdict }
}

/// Three valid parts with five tensors, `t0` to `t4`.
fn sound() -> Vec<Vec<u8>> {
    vec![part(keys(0, 3, 5), &["t0", "t1"]), part(keys(1, 3, 5), &["t2", "t3"]), part(keys(2, 3, 5), &["t4"])]
}

/// The valid parts after a change.
fn changed(name: &str, verdict: Verdict, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Set {
    let mut parts = sound();
    change(&mut parts);
    set(name, verdict, parts)
}

/// All sets.
pub fn sets() -> Vec<Set> {
    let mut sets = accepted();
    sets.extend(numbers());
    sets.extend(counts());
    sets.extend(places());
    sets
}

fn accepted() -> Vec<Set> {
    let two = vec![part(keys(0, 2, 2), &["a"]), part(keys(1, 2, 2), &["b"])];
    let swapped = |parts: &mut Vec<Vec<u8>>, which: &[usize]| {
        which.iter().for_each(|&no| parts[no] = big_endian(&parts[no]).unwrap_or_default());
    };
    let request = Verdict::OnRequest("BigEndian");
    vec![
        set("split-of-1", Verdict::Accepted, vec![part(keys(0, 1, 1), &["a"])]),
        set("split-of-2", Verdict::Accepted, two),
        set("split-of-3", Verdict::Accepted, sound()),
        changed("split-last-part-without-tensors", Verdict::Accepted, |parts| {
            parts[1] = part(keys(1, 3, 5), &["t2", "t3", "t4"]);
            parts[2] = part(keys(2, 3, 5), &[]);
        }),
        // Only the count in the first part is used.
        changed("split-count-of-a-later-part", Verdict::Accepted, |parts| {
            parts[1] = part(keys(1, 7, 9), &["t2", "t3"]);
        }),
        // With no count, or a count of 0 or 1, a file is a whole model.
        set("split-count-missing", Verdict::Accepted, vec![part(Keys { count: None, ..keys(0, 1, 1) }, &["a"])]),
        set("split-count-0", Verdict::Accepted, vec![part(keys(0, 0, 1), &["a"])]),
        changed("split-big-endian", request, |parts| swapped(parts, &[0, 1, 2])),
        changed("split-big-endian-part", request, |parts| swapped(parts, &[1])),
    ]
}

/// `split.no`.
fn numbers() -> Vec<Set> {
    let wide = || Some(pair(NO, U32, &1_u32.to_le_bytes()));
    vec![
        changed("split-no-missing", Verdict::Refused("Key"), |parts| {
            parts[0] = part(Keys { no: None, ..keys(0, 3, 5) }, &["t0", "t1"]);
        }),
        changed("split-no-missing-later", Verdict::Refused("Key"), |parts| {
            parts[1] = part(Keys { no: None, ..keys(1, 3, 5) }, &["t2", "t3"]);
        }),
        changed("split-no-u32", Verdict::Refused("Key"), |parts| {
            parts[1] = part(Keys { no: wide(), ..keys(1, 3, 5) }, &["t2", "t3"]);
        }),
        changed("split-no-first-is-1", Verdict::Refused("PartNumber"), |parts| {
            parts[0] = part(keys(1, 3, 5), &["t0", "t1"]);
        }),
        changed("split-no-last-is-3", Verdict::Refused("PartNumber"), |parts| {
            parts[2] = part(keys(3, 3, 5), &["t4"]);
        }),
        changed("split-no-max", Verdict::Refused("PartNumber"), |parts| {
            parts[2] = part(keys(u16::MAX, 3, 5), &["t4"]);
        }),
    ]
}

/// `split.count` and `split.tensors.count`.
fn counts() -> Vec<Set> {
    let first = |keys: Keys| move |parts: &mut Vec<Vec<u8>>| parts[0] = part(keys, &["t0", "t1"]);
    let refused = Verdict::Refused;
    let wide = Some(pair(COUNT, U32, &3_u32.to_le_bytes()));
    let wide_tensors = Some(pair(TENSORS_COUNT, U64, &5_u64.to_le_bytes()));
    vec![
        changed("split-count-one-less", refused("Name"), first(keys(0, 2, 5))),
        changed("split-count-one-more", refused("Name"), first(keys(0, 4, 5))),
        changed("split-count-max", refused("Name"), first(keys(0, u16::MAX, 5))),
        changed("split-count-u32", refused("Key"), first(Keys { count: wide, ..keys(0, 3, 5) })),
        changed("split-tensors-count-one-less", refused("TensorCount"), first(keys(0, 3, 4))),
        changed("split-tensors-count-one-more", refused("TensorCount"), first(keys(0, 3, 6))),
        changed("split-tensors-count-negative", refused("TensorCount"), first(keys(0, 3, -1))),
        changed("split-tensors-count-missing", refused("Key"), first(Keys { tensors: None, ..keys(0, 3, 5) })),
        changed("split-tensors-count-u64", refused("Key"), first(Keys { tensors: wide_tensors, ..keys(0, 3, 5) })),
    ]
}

/// Parts that are missing, misplaced or faulty.
fn places() -> Vec<Set> {
    let refused = Verdict::Refused;
    let mut missing = set("split-part-missing", refused("Io"), sound());
    missing.files.remove(1);
    let mut last_missing = set("split-last-part-missing", refused("Io"), sound());
    last_missing.files.remove(2);
    let mut second = set("split-second-part-opened", refused("NotFirst"), sound());
    second.files.swap(0, 1);
    let mut renamed = set("split-name-without-numbers", refused("Name"), sound());
    renamed.files[0].0 = "m.gguf".to_owned();
    vec![
        missing,
        last_missing,
        second,
        renamed,
        changed("split-parts-swapped", refused("PartNumber"), |parts| parts.swap(1, 2)),
        changed("split-part-duplicated", refused("PartNumber"), |parts| parts[1] = parts[0].clone()),
        changed("split-last-part-duplicated", refused("PartNumber"), |parts| parts[1] = parts[2].clone()),
        changed("split-tensor-twice", refused("DuplicateTensor"), |parts| parts[2] = part(keys(2, 3, 5), &["t0"])),
        changed("split-tensor-missing", refused("TensorCount"), |parts| parts[2] = part(keys(2, 3, 5), &[])),
        changed("split-part-of-another-format", refused("Magic"), |parts| parts[1][..4].copy_from_slice(b"GGML")),
        changed("split-part-empty", refused("Truncated"), |parts| parts[1].clear()),
        changed("split-part-cut", refused("DataBounds"), |parts| {
            let whole = parts[2].len();
            // Three bytes of data, 29 of padding.
            parts[2].truncate(whole - 30);
        }),
    ]
}
