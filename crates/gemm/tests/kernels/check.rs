//! The check: any kernel, any case, any layout, against the f64 product.

use gemm::{Case, Element, ElementType, Kernel, MatMut, MatRef, Operands, PackedB, Path, Rhs, Shape, Threads};
use half::{bf16, f16};
use op::Ran;
use proof::{
    Checked, Mismatch, Tolerance,
    guarded::Guarded,
    input::normal,
    product::{Product, View},
};

/// Storage order of a matrix.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Lay {
    /// Row after row, with this many unused elements between them.
    Rows(usize),
    /// Column after column, with this many unused elements between them.
    Cols(usize),
    /// No two elements adjacent.
    Apart,
    /// Rows from the last to the first.
    RowsUp,
    /// Rows, each from right to left.
    RowsBack,
    /// One row, repeated: for matrices that are only read.
    Repeated,
}

pub(crate) const LAYS: [Lay; 7] =
    [Lay::Rows(0), Lay::Cols(0), Lay::Rows(3), Lay::Cols(5), Lay::Apart, Lay::RowsUp, Lay::RowsBack];

/// [`LAYS`], and the orders that only a matrix to read can have.
pub(crate) const INPUT_LAYS: [Lay; 8] =
    [Lay::Rows(0), Lay::Cols(0), Lay::Rows(3), Lay::Cols(5), Lay::Apart, Lay::RowsUp, Lay::RowsBack, Lay::Repeated];

impl Lay {
    /// Strides of a `rows` x `cols` matrix, and the elements from its lowest to its highest address.
    pub(crate) fn strides(self, rows: usize, cols: usize) -> (isize, isize, usize) {
        let (r, c) = (rows.max(1) as isize, cols.max(1) as isize);
        let (rs, cs) = match self {
            Lay::Rows(gap) => (c + gap as isize, 1),
            Lay::Cols(gap) => (1, r + gap as isize),
            Lay::Apart => (2 * c + 3, 2),
            Lay::RowsUp => (-(c + 2), 1),
            Lay::RowsBack => (c, -1),
            Lay::Repeated => (0, 1),
        };
        let span = if rows * cols == 0 { 0 } else { 1 + (r - 1) * rs.abs() + (c - 1) * cs.abs() };
        (rs, cs, span as usize)
    }

    /// Index of element (i, j), counted from the lowest address.
    pub(crate) fn index(self, rows: usize, cols: usize, i: usize, j: usize) -> usize {
        let (rs, cs, _) = self.strides(rows, cols);
        let place = |at: usize, extent: usize, stride: isize| match stride < 0 {
            true => (extent - 1 - at) * stride.unsigned_abs(),
            false => at * stride.unsigned_abs(),
        };
        place(i, rows, rs) + place(j, cols, cs)
    }
}

/// A matrix to multiply: the elements row by row, and the memory that the kernel sees.
pub(crate) struct Input {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) lay: Lay,
    pub(crate) element: ElementType,
    pub(crate) elements: Vec<f32>,
}

impl Input {
    pub(crate) fn new(seed: u64, rows: usize, cols: usize, lay: Lay) -> Self {
        let mut elements = normal(seed, rows * cols);
        if lay == Lay::Repeated && cols > 0 {
            let row = elements[..cols.min(elements.len())].to_vec();
            elements.chunks_exact_mut(cols).for_each(|other| other.copy_from_slice(&row));
        }
        Self { rows, cols, lay, element: ElementType::F32, elements }
    }

    /// The memory: NaN wherever there is no element, so that a kernel which reads between the rows is found.
    pub(crate) fn memory(&self) -> Memory {
        match self.element {
            ElementType::F16 => Memory::F16(self.stored()),
            ElementType::Bf16 => Memory::Bf16(self.stored()),
            _ => Memory::F32(self.stored()),
        }
    }

    fn stored<T: Element>(&self) -> Vec<T> {
        let mut memory = vec![T::from_f32(f32::NAN); self.lay.strides(self.rows, self.cols).2];
        for i in 0..self.rows {
            for j in 0..self.cols {
                let place = self.lay.index(self.rows, self.cols, i, j);
                memory[place] = T::from_f32(self.elements[i * self.cols + j]);
            }
        }
        memory
    }

    /// The matrix in its memory.
    pub(crate) fn view<'m>(&self, memory: &'m Memory) -> gemm::Input<'m> {
        match memory {
            Memory::F32(memory) => mat_ref(memory, self.rows, self.cols, self.lay).into(),
            Memory::F16(memory) => mat_ref(memory, self.rows, self.cols, self.lay).into(),
            Memory::Bf16(memory) => mat_ref(memory, self.rows, self.cols, self.lay).into(),
        }
    }

    /// What the kernel sees: the elements rounded to their type.
    pub(crate) fn at(&self, i: usize, j: usize) -> f32 {
        let x = self.elements[i * self.cols + j];
        match self.element {
            ElementType::F16 => f16::from_f32(x).to_f32(),
            ElementType::Bf16 => bf16::from_f32(x).to_f32(),
            _ => x,
        }
    }

    fn exact(&self) -> View<impl Fn(usize, usize) -> f64> {
        View::new(self.rows, self.cols, |i, j| f64::from(self.at(i, j)))
    }
}

/// Elements as they are stored.
pub(crate) enum Memory {
    F32(Vec<f32>),
    F16(Vec<f16>),
    Bf16(Vec<bf16>),
}

pub(crate) fn mat_ref<T>(memory: &[T], rows: usize, cols: usize, lay: Lay) -> MatRef<'_, T> {
    let (rs, cs, _) = lay.strides(rows, cols);
    MatRef::with_strides(memory, rows, cols, rs, cs).expect("the test's own layout")
}

pub(crate) fn mat_mut<T>(memory: &mut [T], rows: usize, cols: usize, lay: Lay) -> MatMut<'_, T> {
    let (rs, cs, _) = lay.strides(rows, cols);
    MatMut::with_strides(memory, rows, cols, rs, cs).expect("the test's own layout")
}

/// A case with its data.
pub(crate) struct Trial {
    pub(crate) case: Case,
    pub(crate) a: Input,
    pub(crate) b: Input,
    pub(crate) c0: Input,
    /// Whether the kernel packs B before it is loaded.
    pub(crate) packs: bool,
}

impl Trial {
    /// alpha = 1, beta = 0, one thread.
    pub(crate) fn new((m, n, k): (usize, usize, usize), lays: [Lay; 3]) -> Self {
        let case = Case { shape: Shape { m, n, k }, codes: None, alpha: 1.0, beta: 0.0, threads: Threads::SERIAL };
        let [a, b, c] = lays;
        let (a, b) = (Input::new(1, m, k, a), Input::new(2, k, n, b));
        Self { case, a, b, c0: Input::new(3, m, n, c), packs: false }
    }

    pub(crate) fn factors(mut self, alpha: f32, beta: f32) -> Self {
        (self.case.alpha, self.case.beta) = (alpha, beta);
        self
    }

    pub(crate) fn threads(mut self, threads: usize) -> Self {
        self.case.threads = Threads::new(threads).unwrap_or_default();
        self
    }

    pub(crate) fn types(mut self, a: ElementType, b: ElementType) -> Self {
        (self.a.element, self.b.element) = (a, b);
        self
    }

    pub(crate) fn packed(self) -> Self {
        Self { packs: true, ..self }
    }

    /// Runs the kernel on a guarded C that holds the poison where beta is 0, and in gaps.
    pub(crate) fn run(&self, kernel: &dyn Kernel) -> (Guarded<f32>, Ran) {
        let (a, b) = (self.a.memory(), self.b.memory());
        let Shape { m, n, .. } = self.case.shape;
        let lay = self.c0.lay;
        let mut c = Guarded::new(lay.strides(m, n).2);
        if self.case.beta != 0.0 {
            for at in 0..m * n {
                c[lay.index(m, n, at / n, at % n)] = self.c0.elements[at];
            }
        }
        let packed: PackedB;
        let b: Rhs<'_> = match self.packs {
            true => {
                packed = kernel.pack(self.b.view(&b)).expect("memory for a test's weights");
                (&packed).into()
            }
            false => self.b.view(&b).into(),
        };
        let operands = Operands::new(self.a.view(&a), b, mat_mut(&mut c, m, n, lay));
        let mut loaded = kernel.load(&self.case, operands).expect("a case that fits");
        loaded.run();
        let ran = loaded.ran();
        drop(loaded);
        (c, ran)
    }

    /// Whether the kernel's output is right, and nothing else was written.
    pub(crate) fn check(&self, kernel: &dyn Kernel) -> Result<Checked, Mismatch> {
        let (c, _) = self.run(kernel);
        let Shape { m, n, k } = self.case.shape;
        let lay = self.c0.lay;
        let mut is_output = vec![false; c.len()];
        for at in 0..m * n {
            is_output[lay.index(m, n, at / n, at % n)] = true;
        }
        c.verify_where(|i| is_output[i])?;
        let (a, b, c0) = (self.a.exact(), self.b.exact(), self.c0.exact());
        let (alpha, beta) = (f64::from(self.case.alpha), f64::from(self.case.beta));
        let tolerance = Tolerance::gemm_f32(k);
        let product = Product { alpha, a: &a, b: &b, beta, c0: Some(&c0), tolerance };
        product.check_all(&View::new(m, n, |i, j| f64::from(c[lay.index(m, n, i, j)])))
    }

    /// [`check`](Self::check) over all kernels.
    pub(crate) fn check_all_kernels(&self) {
        for kernel in gemm::kernels() {
            self.must_pass(kernel.as_ref(), "");
        }
    }

    /// [`check`](Self::check) over all kernels and all their paths. A path that this product cannot take is replaced by
    /// the kernel's own choice.
    pub(crate) fn check_all_paths(&self) {
        self.check_all_kernels();
        for (path, kernel) in gemm::paths() {
            self.must_pass(kernel.as_ref(), path.name());
        }
    }

    fn must_pass(&self, kernel: &dyn Kernel, path: &str) {
        if let Err(mismatch) = self.check(kernel) {
            let (lays, types) = ([self.a.lay, self.b.lay, self.c0.lay], [self.a.element, self.b.element]);
            panic!("{} {path}: {:?}, layouts {lays:?}, types {types:?}: {mismatch}", kernel.name(), self.case);
        }
    }

    /// The path that a kernel takes.
    pub(crate) fn path(&self, kernel: &dyn Kernel) -> String {
        self.run(kernel).1.path
    }
}

/// The kernels that take this path where it is possible.
pub(crate) fn on_path(path: Path) -> Vec<Box<dyn Kernel>> {
    gemm::paths().into_iter().filter(|(other, _)| *other == path).map(|(_, kernel)| kernel).collect()
}
