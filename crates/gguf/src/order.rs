//! Entries sorted by name: finds duplicates in O(n log n), and answers look-ups.

/// Indices of entries, sorted by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Order(Vec<u32>);

/// Two entries with the same name; `first` is before `later` in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Duplicate {
    pub(crate) first: usize,
    pub(crate) later: usize,
}

impl Order {
    /// Sorts `len` entries (at most `u32::MAX`). For n names of B bytes in total, comparisons read O(B log n) bytes.
    pub(crate) fn of<'a>(len: usize, name: impl Fn(usize) -> &'a [u8]) -> Result<Self, Duplicate> {
        let mut order: Vec<u32> = (0..len as u32).collect();
        // Tensor names are often nearly sorted in the file, which this sort detects.
        order.sort_unstable_by(|&a, &b| name(a as usize).cmp(name(b as usize)).then(a.cmp(&b)));
        let is_duplicate = |pair: &[u32; 2]| name(pair[0] as usize) == name(pair[1] as usize);
        match order.array_windows().find(|pair| is_duplicate(pair)) {
            Some(&[first, later]) => Err(Duplicate { first: first as usize, later: later as usize }),
            None => Ok(Self(order)),
        }
    }

    /// The index of the entry with this name.
    pub(crate) fn find<'a>(&self, wanted: &[u8], name: impl Fn(usize) -> &'a [u8]) -> Option<usize> {
        let at = self.0.binary_search_by(|&i| name(i as usize).cmp(wanted)).ok()?;
        Some(self.0[at] as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_and_duplicates_reported_in_file_order() {
        let names: [&[u8]; 4] = [b"c", b"", b"a", b"b"];
        let order = Order::of(4, |i| names[i]).unwrap();
        for (i, name) in names.iter().enumerate() {
            assert_eq!(order.find(name, |i| names[i]), Some(i));
        }
        assert_eq!(order.find(b"d", |i| names[i]), None);
        let names: [&[u8]; 4] = [b"x", b"b", b"a", b"b"];
        assert_eq!(Order::of(4, |i| names[i]).err(), Some(Duplicate { first: 1, later: 3 }));
        assert_eq!(Order::default().find(b"", |_| b""), None);
    }
}
