//! Copies of an operand that runs take in turn.

/// Copies of an operand on distinct pages. Each run takes the next one, so that those of a streamed case come from main
/// memory. [`Regime::copies`](crate::Regime::copies) says how many there are; all implementations make as many.
///
/// ```
/// use peer::{Regime, Rotation};
///
/// let weights = vec![1.0_f32, 2.0];
/// let mut rotation = Rotation::copied(weights, Regime::Resident.copies(8));
/// assert_eq!(rotation.take(), &[1.0, 2.0]);
/// ```
#[derive(Clone, Debug)]
pub struct Rotation<T> {
    /// At least one.
    copies: Vec<T>,
    next: usize,
}

impl<T: Clone> Rotation<T> {
    /// The operand `copies` times, at least once.
    pub fn copied(operand: T, copies: usize) -> Self {
        Self { copies: vec![operand; copies.max(1)], next: 0 }
    }
}

impl<T> Rotation<T> {
    /// Copies in the form that a library wants; `None` without any.
    pub fn of(copies: Vec<T>) -> Option<Self> {
        (!copies.is_empty()).then_some(Self { copies, next: 0 })
    }

    /// The copy for the next run.
    pub fn take(&mut self) -> &mut T {
        let at = self.next;
        self.next = (at + 1) % self.copies.len();
        &mut self.copies[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_take_all_copies_in_turn() {
        let mut three = Rotation::of(vec!['a', 'b', 'c']).unwrap();
        let taken: String = (0..7).map(|_| *three.take()).collect();
        assert_eq!(taken, "abcabca");
        assert!(Rotation::<u8>::of(Vec::new()).is_none());
    }

    #[test]
    fn copies_have_memory_of_their_own() {
        let mut three = Rotation::copied(vec![7_u8; 100], 3);
        let places = [(); 4].map(|()| three.take().as_ptr());
        assert!(places[0] == places[3] && places[0] != places[1] && places[1] != places[2] && places[2] != places[0]);
        assert_eq!(three.take(), &[7; 100]);
        assert_eq!(Rotation::copied(5, 0).take(), &5);
    }
}
