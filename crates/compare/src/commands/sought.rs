//! The benchmark that a bisection follows, found again in comparisons that build its target alone.

use crate::report::Row;

/// A benchmark, by its target and the id that the target gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sought {
    pub(super) package: String,
    pub(super) target: String,
    id: String,
}

impl Sought {
    /// The benchmark of a row. Where its id stands in several targets, the row's id names the target as well: that part
    /// is left out, because no other target is built from now on.
    pub(super) fn of(row: &Row) -> Self {
        let of_target = format!(" ({}/{})", row.package, row.target);
        let (before, number) = numbered(&row.id, " [", "]");
        let id = match before.strip_suffix(&of_target) {
            Some(before) => format!("{before}{number}"),
            None => row.id.clone(),
        };
        Self { package: row.package.clone(), target: row.target.clone(), id }
    }

    /// Whether a row is about it.
    pub(super) fn is(&self, row: &Row) -> bool {
        *self == Self::of(row)
    }

    /// A regular expression for the id that criterion knows. A number that this tool appended to a repeated id is not
    /// part of that.
    pub(super) fn filter(&self) -> String {
        let (before, _) = numbered(&self.id, " [", "]");
        let (first, _) = numbered(before, " #", "");
        let mut ids = vec![self.id.as_str(), before, first];
        ids.dedup();
        let ids: Vec<String> = ids.into_iter().map(regex_lite::escape).collect();
        format!("^(?:{})$", ids.join("|"))
    }
}

/// Splits a number at the end, between `open` and `close`, off an id.
fn numbered<'a>(id: &'a str, open: &str, close: &str) -> (&'a str, &'a str) {
    let Some(at) = id.rfind(open) else { return (id, "") };
    let number = id[at + open.len()..].strip_suffix(close).unwrap_or_default();
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { id.split_at(at) } else { (id, "") }
}

#[cfg(test)]
mod tests {
    use regex_lite::Regex;

    use super::*;
    use crate::report::example_entry;

    fn row(target: &str, id: &str) -> Row {
        Row { package: "p".into(), target: target.into(), id: id.into(), ..example_entry().rows[0].clone() }
    }

    #[test]
    fn an_id_of_two_targets_is_found_where_one_of_them_is_built() {
        let sought = Sought::of(&row("a", "g/x (p/a)"));
        assert!(sought.is(&row("a", "g/x")) && sought.is(&row("a", "g/x (p/a)")));
        assert!(!sought.is(&row("b", "g/x (p/b)")) && !sought.is(&row("b", "g/x")));
        let filter = Regex::new(&sought.filter()).unwrap();
        assert!(filter.is_match("g/x") && !filter.is_match("g/x (p/a)") && !filter.is_match("g/xx"));
    }

    #[test]
    fn repeated_ids_are_asked_for_without_their_number_and_told_apart_by_it() {
        for (shown, number) in [("x #2", " #2"), ("x (p/a) [2]", " [2]")] {
            let sought = Sought::of(&row("a", shown));
            assert!(Regex::new(&sought.filter()).unwrap().is_match("x"), "{shown}");
            assert!(sought.is(&row("a", &format!("x{number}"))) && !sought.is(&row("a", "x")), "{shown}");
        }
        let odd = Sought::of(&row("a", "take (p/b) [x] #y"));
        let filter = Regex::new(&odd.filter()).unwrap();
        assert!(filter.is_match("take (p/b) [x] #y") && !filter.is_match("take (p/b)"));
    }
}
