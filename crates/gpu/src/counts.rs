//! What a device was asked to do: numbers that tests assert exactly.

use std::collections::BTreeMap;

/// Totals since the device was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Kernels started.
    pub dispatches: u64,
    /// Waits between dispatches of one pass, by wgpu's rule: one before every dispatch that uses a buffer which an
    /// earlier dispatch since the last wait wrote, or writes one which such a dispatch read.
    pub barriers: u64,
    /// Compute passes.
    pub passes: u64,
    /// Submissions to the queue.
    pub submissions: u64,
    /// Pipelines compiled.
    pub pipelines: u64,
    /// Bind groups made.
    pub bind_groups: u64,
    /// Buffers made.
    pub buffers: u64,
    /// Bytes sent to the device.
    pub uploaded_bytes: u64,
    /// Bytes fetched from it.
    pub read_bytes: u64,
    /// Bytes of device memory held now.
    pub live_bytes: u64,
    /// The most bytes held at a time.
    pub peak_bytes: u64,
    /// Bytes held now, by label.
    pub by_label: BTreeMap<&'static str, u64>,
}

impl Counts {
    /// What was done between `before` and `self`. Memory is that of `self`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            dispatches: self.dispatches - before.dispatches,
            barriers: self.barriers - before.barriers,
            passes: self.passes - before.passes,
            submissions: self.submissions - before.submissions,
            pipelines: self.pipelines - before.pipelines,
            bind_groups: self.bind_groups - before.bind_groups,
            buffers: self.buffers - before.buffers,
            uploaded_bytes: self.uploaded_bytes - before.uploaded_bytes,
            read_bytes: self.read_bytes - before.read_bytes,
            ..self.clone()
        }
    }

    pub(crate) fn allocated(&mut self, label: &'static str, bytes: u64) {
        self.buffers += 1;
        self.live_bytes += bytes;
        self.peak_bytes = self.peak_bytes.max(self.live_bytes);
        *self.by_label.entry(label).or_default() += bytes;
    }

    pub(crate) fn freed(&mut self, label: &'static str, bytes: u64) {
        self.live_bytes -= bytes;
        if let Some(held) = self.by_label.get_mut(label) {
            *held -= bytes;
            if *held == 0 {
                self.by_label.remove(label);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_stays_and_labels_go() {
        let mut counts = Counts::default();
        counts.allocated("a", 100);
        counts.allocated("b", 50);
        counts.freed("a", 100);
        counts.allocated("b", 10);
        assert_eq!((counts.live_bytes, counts.peak_bytes, counts.buffers), (60, 150, 3));
        assert_eq!(counts.by_label, BTreeMap::from([("b", 60)]));
    }
}
