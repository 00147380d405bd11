//! The corpus has a file that meets and a file that breaks each rule that llama.cpp checks of the container, and the
//! same for each known attack.

use std::collections::{HashMap, HashSet};

use gguf::corpus::{Case, Verdict, cases};

struct Rule {
    what: &'static str,
    inside: &'static [&'static str],
    outside: &'static [&'static str],
}

/// The rules in the order in which llama.cpp checks them. A file that meets one rule may break a later one: a shape
/// whose elements can just be counted needs more data than any file has.
const RULES: [Rule; 15] = [
    Rule {
        what: "magic, version, byte order",
        inside: &["smallest", "version-2", "big-endian"],
        outside: &["magic-last-byte", "version-0", "version-1", "version-4", "version-high-half-only"],
    },
    Rule {
        what: "counts",
        inside: &["small", "cve-2024-21836-within", "cve-2024-23605-within"],
        outside: &["tensor-count-negative", "key-count-negative", "cve-2024-21836-tensors-2-61"],
    },
    Rule {
        what: "length of strings",
        inside: &["string-to-the-end", "string-of-1-gib"],
        outside: &["string-beyond-the-end", "string-above-1-gib", "key-above-1-gib", "tensor-name-above-1-gib"],
    },
    Rule {
        what: "length of arrays",
        inside: &["array-to-the-end", "array-of-2-30", "array-of-strings-all-empty"],
        outside: &["array-beyond-the-end", "array-above-2-30", "array-of-strings-one-more-than-fit"],
    },
    Rule { what: "arrays of arrays", inside: &["array-of-strings"], outside: &["array-of-arrays"] },
    Rule {
        what: "value types and keys",
        inside: &["value-type-12", "keys-distinct"],
        outside: &["value-type-13", "key-empty", "keys-duplicate"],
    },
    Rule {
        what: "alignment",
        inside: &["alignment-1", "alignment-8", "alignment-32", "alignment-4096"],
        outside: &["alignment-u64", "alignment-0", "alignment-3"],
    },
    Rule {
        what: "names of tensors",
        inside: &["tensor-name-63-bytes", "tensor-names-distinct"],
        outside: &["tensor-name-64-bytes", "tensor-names-duplicate"],
    },
    Rule {
        what: "dimensions",
        inside: &["dimensions-4", "dimension-0", "elements-max"],
        outside: &["dimensions-5", "dimension-negative", "elements-2-63"],
    },
    Rule {
        what: "types of tensors",
        inside: &["type-42", "type-0"],
        outside: &["type-43", "type--1", "type-4-removed"],
    },
    Rule {
        what: "whole blocks, size of a tensor",
        inside: &["row-of-a-block", "size-just-fits-but-not-where-it-lies"],
        outside: &["row-of-half-a-block", "size-overflows"],
    },
    Rule {
        what: "offset",
        inside: &["offsets-in-a-row", "empty-tensor-between"],
        outside: &["offset-gap", "offset-overlap", "offset-first-not-0"],
    },
    Rule {
        what: "sum of sizes",
        inside: &["cve-2025-53630-within", "cve-2026-27940-sum-just-fits"],
        outside: &["cve-2025-53630-sum-wraps", "size-just-fits-but-not-its-padding"],
    },
    Rule {
        what: "data within the file",
        inside: &["last-padding-missing", "bytes-behind-the-data"],
        outside: &["data-cut-by-a-byte", "data-missing"],
    },
    Rule {
        what: "finite scales",
        inside: &["values-q4_k-largest", "values-iq1_m-largest"],
        outside: &["values-q4_k-dmin-infinite", "values-iq1_m-scattered-nan"],
    },
];

#[test]
fn every_rule_has_a_file_inside_and_one_outside() {
    let cases = cases();
    let by_name: HashMap<&str, &Case> = cases.iter().map(|case| (&*case.name, case)).collect();
    // The variant of the error, or the fact that a scale is not finite.
    let broken = |name: &str| {
        let case = by_name.get(name).unwrap_or_else(|| panic!("{name} is not there"));
        match case.verdict {
            Verdict::Refused(rule) | Verdict::OnRequest(rule) => Some(rule),
            Verdict::Accepted => case.not_finite.map(|_| "not finite"),
        }
    };
    for Rule { what, inside, outside } in RULES {
        let outside: HashSet<_> = outside.iter().map(|name| broken(name)).collect();
        assert!(!outside.contains(&None), "{what}: a file outside is accepted");
        assert!(inside.iter().any(|name| broken(name).is_none()), "{what}: no file inside is accepted");
    }
}

#[test]
fn every_attack_has_a_file_inside_and_one_outside() {
    let cases = cases();
    for id in [
        "2024-21802",
        "2024-21825",
        "2024-21836",
        "2024-23496",
        "2024-23605",
        "2025-53630",
        "2026-27940",
        "2026-33298",
        "2026-7482",
    ] {
        let verdicts = |inside: bool| {
            let name = format!("cve-{id}-");
            let of = cases
                .iter()
                .filter(move |case| case.name.starts_with(&name) && case.name.ends_with("-within") == inside);
            of.map(|case| case.verdict).collect::<Vec<_>>()
        };
        assert_eq!(verdicts(true), [Verdict::Accepted], "{id}");
        let outside = verdicts(false);
        assert!(!outside.is_empty() && outside.iter().all(|verdict| matches!(verdict, Verdict::Refused(_))), "{id}");
    }
}
