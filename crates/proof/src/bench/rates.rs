//! The rate of a bench: the amount of work that says most about it, over the time of an iteration.

use std::cell::Cell;
use std::rc::Rc;

use criterion::Throughput;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use record::{Unit, Work};

/// The work of one iteration that stands against a ceiling in `unit`; without a ceiling the operations, else the bytes,
/// else the elements. `None` where none is declared.
pub(super) fn amount(work: &Work, unit: Option<Unit>) -> Option<(f64, Unit)> {
    let flops = work.flops.map(|flops| (flops, Unit::FlopPerSecond));
    let bytes = work.bytes.map(|bytes| (bytes, Unit::BytesPerSecond));
    let elements = work.elements.map(|elements| (elements, Unit::ElementsPerSecond));
    match unit {
        Some(Unit::BytesPerSecond) => bytes.or(flops),
        _ => flops.or(bytes),
    }
    .or(elements)
}

/// The same for criterion, which knows bytes and elements only; [`Formatter`] shows elements in their unit.
pub(super) fn throughput((amount, unit): (f64, Unit)) -> Throughput {
    match unit {
        Unit::BytesPerSecond => Throughput::BytesDecimal(amount as u64),
        _ => Throughput::Elements(amount as u64),
    }
}

/// As criterion's own, but counts operations as FLOP/s, and other elements as what they are.
pub(super) struct Formatter {
    wall: WallTime,
    /// What criterion's elements are in the bench at hand.
    unit: Rc<Cell<Unit>>,
}

impl Formatter {
    pub(super) fn new(unit: Rc<Cell<Unit>>) -> Self {
        Self { wall: WallTime, unit }
    }
}

impl ValueFormatter for Formatter {
    fn scale_values(&self, typical: f64, values: &mut [f64]) -> &'static str {
        self.wall.formatter().scale_values(typical, values)
    }

    fn scale_throughputs(&self, typical: f64, throughput: &Throughput, values: &mut [f64]) -> &'static str {
        let (&Throughput::Elements(flops), Unit::FlopPerSecond) = (throughput, self.unit.get()) else {
            return self.wall.formatter().scale_throughputs(typical, throughput, values);
        };
        let per_s = |ns: f64| flops as f64 * 1e9 / ns;
        let (scale, unit) = match per_s(typical) {
            rate if rate >= 1e12 => (1e12, "TFLOP/s"),
            rate if rate >= 1e9 => (1e9, "GFLOP/s"),
            rate if rate >= 1e6 => (1e6, "MFLOP/s"),
            _ => (1.0, "FLOP/s"),
        };
        values.iter_mut().for_each(|ns| *ns = per_s(*ns) / scale);
        unit
    }

    fn scale_for_machines(&self, values: &mut [f64]) -> &'static str {
        self.wall.formatter().scale_for_machines(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_decides_which_work_is_shown() {
        let work = Work { flops: Some(1.0), bytes: Some(2.0), elements: Some(3.0) };
        assert_eq!(amount(&work, Some(Unit::BytesPerSecond)), Some((2.0, Unit::BytesPerSecond)));
        assert_eq!(amount(&work, Some(Unit::FlopPerSecond)), Some((1.0, Unit::FlopPerSecond)));
        assert_eq!(amount(&work, None), Some((1.0, Unit::FlopPerSecond)));
        assert_eq!(amount(&Work { flops: None, ..work }, None), Some((2.0, Unit::BytesPerSecond)));
        let elements = Work { elements: Some(3.0), ..Work::default() };
        assert_eq!(amount(&elements, Some(Unit::BytesPerSecond)), Some((3.0, Unit::ElementsPerSecond)));
        assert_eq!(amount(&Work::default(), None), None);
    }

    #[test]
    fn operations_are_shown_as_such_and_bytes_in_powers_of_1000() {
        let unit = Rc::new(Cell::new(Unit::FlopPerSecond));
        let formatter = Formatter::new(Rc::clone(&unit));
        let shown = |throughput, ns| formatter.format_throughput(&throughput, ns);
        assert_eq!(shown(Throughput::Elements(2_000), 1000.0), "2.0000 GFLOP/s");
        assert_eq!(shown(Throughput::Elements(5_000_000), 1000.0), "5.0000 TFLOP/s");
        assert_eq!(shown(Throughput::Elements(2), 1000.0), "2.0000 MFLOP/s");
        assert_eq!(shown(Throughput::BytesDecimal(2_000), 1000.0), "2.0000 GB/s");
        unit.set(Unit::ElementsPerSecond);
        assert_eq!(shown(Throughput::Elements(2_000), 1000.0), "2.0000 Gelem/s");
    }
}
