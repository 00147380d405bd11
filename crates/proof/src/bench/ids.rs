//! Which ids are accepted: those that criterion neither truncates nor merges with another.

use std::collections::HashMap;

/// Criterion truncates directory names here.
const MOST_PART_BYTES: usize = 64;
/// Criterion truncates titles here, and `--list` prints titles.
const MOST_ID_BYTES: usize = 100;

/// Why a bench cannot be declared under an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("bench id {id}: the {part} has {got} bytes; 1 to {MOST_PART_BYTES} are allowed")]
    Part { id: String, part: &'static str, got: usize },
    #[error("bench id {id} has {got} bytes; at most {MOST_ID_BYTES} are allowed")]
    Whole { id: String, got: usize },
    #[error("bench id {id} is declared twice")]
    Twice { id: String },
    #[error("bench ids {id} and {other} share criterion's directory")]
    Directory { id: String, other: String },
}

/// The ids declared so far, by the directory that criterion keeps their results in.
#[derive(Debug, Default)]
pub(super) struct Ids(HashMap<String, String>);

impl Ids {
    pub(super) fn declare(&mut self, group: &str, function: &str, value: &str) -> Result<(), Refused> {
        let id = format!("{group}/{function}/{value}");
        for (part, text) in [("group", group), ("function", function), ("value", value)] {
            if text.is_empty() || text.len() > MOST_PART_BYTES {
                return Err(Refused::Part { id, part, got: text.len() });
            }
        }
        if id.len() > MOST_ID_BYTES {
            return Err(Refused::Whole { got: id.len(), id });
        }
        // One character for `/` and for what criterion replaces by `_`: groups `a/b` + `c` and `a` + `b/c` are one id,
        // and `a_b` and `a/b` one directory. Lower case, for file systems that ignore case.
        let is_replaced = |c: char| matches!(c, '?' | '"' | '/' | '\\' | '*' | '<' | '>' | ':' | '|' | '^');
        let directory = id.replace(is_replaced, "_").to_lowercase();
        match self.0.get(&directory) {
            Some(other) if *other == id => Err(Refused::Twice { id }),
            Some(other) => Err(Refused::Directory { id, other: other.clone() }),
            None => {
                self.0.insert(directory, id);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_whole_and_short() {
        let mut ids = Ids::default();
        let mut declare = |group: &str, function: &str, value: &str| {
            ids.declare(group, function, value).map_err(|refused| refused.to_string())
        };
        assert_eq!(declare("a/b", "c", "k"), Ok(()));
        assert_eq!(declare("a/b", "c", "k2"), Ok(()));
        assert_eq!(declare("a/b", "c", "k"), Err("bench id a/b/c/k is declared twice".into()));
        assert_eq!(declare("a", "b/c", "k"), Err("bench id a/b/c/k is declared twice".into()));
        assert_eq!(declare("a_b", "c", "k"), Err("bench ids a_b/c/k and a/b/c/k share criterion's directory".into()));
        assert_eq!(declare("a", "", "k"), Err("bench id a//k: the function has 0 bytes; 1 to 64 are allowed".into()));
        assert_eq!(declare(&"g".repeat(64), "f", "v"), Ok(()));
        assert!(
            declare(&"g".repeat(65), "f", "v").unwrap_err().ends_with("the group has 65 bytes; 1 to 64 are allowed")
        );
        assert_eq!(declare(&"h".repeat(64), &"f".repeat(32), "vv"), Ok(()));
        let long = declare(&"h".repeat(64), &"f".repeat(33), "vv").unwrap_err();
        assert!(long.ends_with("has 101 bytes; at most 100 are allowed"), "{long}");
    }
}
