//! The names that a mistyped one most likely means.

/// Most names that are suggested.
const SUGGESTED: usize = 5;

/// The names in which a part comes closest to `word`, the closest first; none if no name is close.
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let alternatives: Vec<Vec<char>> = word.split('|').map(literal).filter(|word| !word.is_empty()).collect();
    let distance = |name: &str| {
        let name: Vec<char> = name.to_lowercase().chars().collect();
        let close = alternatives.iter().filter_map(|word| {
            let edits = edits_to_a_part(word, &name);
            (edits <= word.len().div_ceil(4)).then_some((edits, name.len().abs_diff(word.len())))
        });
        close.min()
    };
    let mut close: Vec<(_, &str)> =
        names.into_iter().filter_map(|name| distance(name).map(|distance| (distance, name))).collect();
    close.sort();
    close.dedup();
    close.into_iter().take(SUGGESTED).map(|(_, name)| name).collect()
}

/// " (did you mean `a` or `b`?)", or nothing.
pub fn did_you_mean<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = nearest(word, names).iter().take(3).map(|name| format!("`{name}`")).collect();
    if names.is_empty() { String::new() } else { format!(" (did you mean {}?)", names.join(" or ")) }
}

/// The letters of a regular expression that stand for themselves, in lower case.
fn literal(word: &str) -> Vec<char> {
    let word = word.replace(".*", "").to_lowercase();
    word.chars().filter(|c| !"^$()\\?*+[]{}".contains(*c)).collect()
}

/// The fewest insertions, deletions and replacements that turn `word` into some part of `text` (Sellers 1980: the
/// table of Levenshtein's distance, whose first row is zero because a part may begin anywhere).
fn edits_to_a_part(word: &[char], text: &[char]) -> usize {
    let mut row = vec![0; text.len() + 1];
    for (i, letter) in word.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in text.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.into_iter().min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = ["gemm/f32/m512/auto", "gemm/f16/m512/auto", "gguf/open", "Parse/Header"];

    #[test]
    fn a_mistyped_part_suggests_the_names_that_have_it() {
        assert_eq!(nearest("gemm/f23", NAMES), ["gemm/f32/m512/auto", "gemm/f16/m512/auto"]);
        assert_eq!(nearest("^gguf/opne$", NAMES), ["gguf/open"]);
        assert_eq!(nearest("parse/haeder|nothing of this kind", NAMES), ["Parse/Header"]);
        assert_eq!(nearest("xyzzy", NAMES), [""; 0]);
        assert_eq!(did_you_mean("compar", ["compare", "gemm"]), " (did you mean `compare`?)");
        assert_eq!(did_you_mean("^$", NAMES), "");
    }
}
