//! Where the labels other than 0 are, in the memory of a number for each row.

/// Counts of labels by row: the k-th voxel with or without a label is found without a list of voxels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classes {
    /// Voxels with a label before each row, and at the end.
    before: Vec<u64>,
    row: usize,
}

impl Classes {
    /// Of labels in rows of `row` voxels, at least 1.
    pub(crate) fn new(labels: &[u8], row: usize) -> Self {
        let mut before = Vec::with_capacity(labels.len() / row.max(1) + 1);
        let mut sum = 0;
        before.push(0);
        for row in labels.chunks_exact(row.max(1)) {
            sum += row.iter().filter(|&&label| label != 0).count() as u64;
            before.push(sum);
        }
        Self { before, row: row.max(1) }
    }

    /// Voxels whose label is not 0.
    pub fn positive(&self) -> u64 {
        self.before[self.before.len() - 1]
    }

    /// Voxels whose label is 0.
    pub fn negative(&self) -> u64 {
        ((self.before.len() - 1) * self.row) as u64 - self.positive()
    }

    pub(crate) fn bytes(&self) -> usize {
        8 * self.before.len()
    }

    /// Index of the k-th voxel of a class, counted from 0 in the order of memory; `None` if there are fewer. `labels`
    /// are those that this was made of.
    pub fn find(&self, labels: &[u8], is_positive: bool, k: u64) -> Option<usize> {
        if k >= if is_positive { self.positive() } else { self.negative() } {
            return None;
        }
        let before = |row: usize| {
            if is_positive { self.before[row] } else { (row * self.row) as u64 - self.before[row] }
        };
        // The last row with at most k voxels of the class before it.
        let (mut low, mut high) = (0, self.before.len() - 1);
        while high - low > 1 {
            let middle = low.midpoint(high);
            if before(middle) <= k {
                low = middle;
            } else {
                high = middle;
            }
        }
        let start = low * self.row;
        let row = labels.get(start..start + self.row)?;
        let mut of_class = row.iter().enumerate().filter(|(_, label)| (**label != 0) == is_positive);
        of_class.nth((k - before(low)) as usize).map(|(x, _)| start + x)
    }
}

#[cfg(test)]
mod tests {
    use op::random::Random;

    use super::*;

    #[test]
    fn every_voxel_of_a_class_is_found_once_in_order() {
        let mut random = Random::new(3);
        for density in [0, 1, 5, 10] {
            let labels: Vec<u8> = (0..7 * 30).map(|_| u8::from(random.below(10) < density) * 2).collect();
            let classes = Classes::new(&labels, 7);
            for is_positive in [true, false] {
                let expected: Vec<usize> = (0..labels.len()).filter(|&i| (labels[i] != 0) == is_positive).collect();
                let count = if is_positive { classes.positive() } else { classes.negative() };
                assert_eq!(count as usize, expected.len());
                let found: Vec<usize> = (0..count).filter_map(|k| classes.find(&labels, is_positive, k)).collect();
                assert_eq!(found, expected);
                assert_eq!(classes.find(&labels, is_positive, count), None);
            }
        }
    }
}
