//! A case with its operands in memory.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use peer::{Case, Closures, Load, Ran, Refusal, Regime, Rotation};

/// Dimensions, type and layout of a case.
pub(crate) struct Product {
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) element: String,
    /// Whether B is stored column by column.
    pub(crate) by_columns: bool,
    regime: Regime,
}

impl Product {
    pub(crate) fn of(case: &Case) -> Result<Self, Refusal> {
        let by_columns = match case.text("b")? {
            "rows" => false,
            "columns" => true,
            other => return Err(Refusal::Error(format!("case {}: B is stored by {other}", case.id))),
        };
        let (m, n, k) = (case.number("m")?, case.number("n")?, case.number("k")?);
        Ok(Self { m, n, k, element: case.text("type")?.to_owned(), by_columns, regime: case.regime })
    }

    /// Strides of B, from row to row and from column to column.
    pub(crate) fn b_strides(&self) -> (isize, isize) {
        if self.by_columns { (1, self.k as isize) } else { (self.n as isize, 1) }
    }

    /// A loaded case whose run is `multiply`, from A and B into C.
    pub(crate) fn load<'a, T: Number>(
        self,
        inputs: &Path,
        ran: Ran,
        multiply: impl Fn(&Product, &[T], &[T], &mut [T]) + 'a,
    ) -> Load<'a> {
        let (a, b) = (read::<T>(&inputs.join("a"))?, read::<T>(&inputs.join("b"))?);
        let (m, n, k) = (self.m, self.n, self.k);
        if a.len() != m * k || b.len() != k * n {
            return Err(Refusal::Error(format!("{} and {} elements for {m} x {n} x {k}", a.len(), b.len())));
        }
        let mut b = Rotation::copied(b, self.regime.copies(size_of::<T>() * k * n));
        let c = Rc::new(RefCell::new(vec![T::from_f32(f32::NAN); m * n]));
        let result = c.clone();
        let run = move || multiply(&self, &a, b.take(), &mut c.borrow_mut());
        let output = move || result.borrow().iter().flat_map(|c| c.to_f32().to_le_bytes()).collect();
        let (flops, bytes) = (2 * m * n * k, size_of::<T>() * (m * k + k * n + m * n));
        Ok(Closures::boxed(Ran { flops: flops as u64, bytes: bytes as u64, ..ran }, run, output))
    }
}

/// An element type of input files.
pub(crate) trait Number: bytemuck::Pod {
    fn to_f32(self) -> f32;
    fn from_f32(x: f32) -> Self;
}

impl Number for f32 {
    fn to_f32(self) -> f32 {
        self
    }

    fn from_f32(x: f32) -> Self {
        x
    }
}

impl Number for half::f16 {
    fn to_f32(self) -> f32 {
        Self::to_f32(self)
    }

    fn from_f32(x: f32) -> Self {
        Self::from_f32(x)
    }
}

fn read<T: Number>(path: &Path) -> Result<Vec<T>, Refusal> {
    let bytes = std::fs::read(path)?;
    let len = bytes.len() / size_of::<T>();
    let mut numbers = vec![T::from_f32(0.0); len];
    bytemuck::cast_slice_mut::<T, u8>(&mut numbers).copy_from_slice(&bytes[..len * size_of::<T>()]);
    Ok(numbers)
}
