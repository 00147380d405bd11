//! Outputs that a matrix promises to be of the same bits.

use std::collections::BTreeMap;

/// An output of which something is promised.
#[derive(Clone, Debug)]
pub struct Output {
    /// Where it stands in the caller's list.
    pub place: usize,
    /// What all outputs of the same bits share, as [`Proof::same_as`](crate::Proof::same_as).
    pub promise: String,
    /// Its hash.
    pub hash: String,
    /// What it is called in the reason of another one.
    pub name: String,
}

/// Those that break their promise, by place, each with the reason. Which of two unequal outputs is the wrong one is not
/// known, so neither counts.
#[must_use]
pub fn unequal(outputs: &[Output]) -> BTreeMap<usize, String> {
    let mut groups: BTreeMap<&str, Vec<&Output>> = BTreeMap::new();
    for output in outputs {
        groups.entry(&output.promise).or_default().push(output);
    }
    let mut found = BTreeMap::new();
    for group in groups.values() {
        for output in group {
            if let Some(other) = group.iter().find(|other| other.hash != output.hash) {
                let why = format!(
                    "wrong output: its hash is {}, that of {} is {}, and the matrix promises the same bits",
                    output.hash, other.name, other.hash
                );
                found.insert(output.place, why);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_of_one_promise_have_one_hash() {
        let output = |place, promise: &str, hash: &str| Output {
            place,
            promise: promise.to_owned(),
            hash: hash.to_owned(),
            name: format!("`{place}`"),
        };
        let same = [output(0, "a", "1"), output(3, "b", "2"), output(5, "a", "1")];
        assert_eq!(unequal(&same), BTreeMap::new());
        let broken = [output(0, "a", "1"), output(3, "b", "2"), output(5, "a", "4")];
        let found = unequal(&broken);
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [0, 5]);
        assert!(found[&0].starts_with("wrong output: its hash is 1, that of `5` is 4"), "{}", found[&0]);
    }
}
