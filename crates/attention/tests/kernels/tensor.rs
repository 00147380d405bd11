//! Tensors in any layout.

use attention::{Element, ElementType, Extents, Strides, View};
use half::{bf16, f16};
use proof::input::normal;

/// Order and gaps of a tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Lay {
    /// Batch, token, head, element.
    Bnhd,
    /// Batch, head, token, element.
    Bhnd,
    /// Token, batch, head, element, with gaps between all of them.
    Gaps,
    /// One head, repeated: for K and V, which are only read.
    Repeated,
}

pub(crate) const LAYS: [Lay; 3] = [Lay::Bnhd, Lay::Bhnd, Lay::Gaps];

impl Lay {
    pub(crate) fn strides(self, extents: Extents) -> Strides {
        let Extents { batch, tokens, heads, head_dim } = extents;
        match self {
            Lay::Bnhd => Strides::bnhd(extents).expect("small extents"),
            Lay::Bhnd => Strides::bhnd(extents).expect("small extents"),
            Lay::Gaps => {
                let head = head_dim + 3;
                let in_batch = heads * head + 1;
                Strides { batch: in_batch, token: batch * in_batch + 5, head }
            }
            Lay::Repeated => Strides { batch: tokens * head_dim, token: head_dim, head: 0 },
        }
    }

    /// Elements from the first to the last.
    pub(crate) fn span(self, extents: Extents) -> usize {
        let Extents { batch, tokens, heads, head_dim } = extents;
        if batch * tokens * heads * head_dim == 0 {
            return 0;
        }
        let strides = self.strides(extents);
        (batch - 1) * strides.batch + (tokens - 1) * strides.token + (heads - 1) * strides.head + head_dim
    }

    pub(crate) fn index(self, extents: Extents, [b, t, h, d]: [usize; 4]) -> usize {
        let strides = self.strides(extents);
        b * strides.batch + t * strides.token + h * strides.head + d
    }
}

/// All indices of a tensor.
pub(crate) fn indices(extents: Extents) -> impl Iterator<Item = [usize; 4]> {
    let Extents { batch, tokens, heads, head_dim } = extents;
    (0..batch * tokens * heads * head_dim).map(move |at| {
        let (d, at) = (at % head_dim, at / head_dim);
        let (h, at) = (at % heads, at / heads);
        [at / tokens, at % tokens, h, d]
    })
}

/// A tensor to read: the elements in the order batch, token, head, element, rounded to their type.
#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) extents: Extents,
    pub(crate) lay: Lay,
    pub(crate) element: ElementType,
    pub(crate) elements: Vec<f32>,
}

impl Tensor {
    pub(crate) fn new(seed: u64, extents: Extents, lay: Lay) -> Self {
        let Extents { batch, tokens, heads, head_dim } = extents;
        let elements = normal(seed, batch * tokens * heads * head_dim);
        Self { extents, lay, element: ElementType::F32, elements }
    }

    pub(crate) fn at(&self, [b, t, h, d]: [usize; 4]) -> f32 {
        let Extents { tokens, heads, head_dim, .. } = self.extents;
        let h = if self.lay == Lay::Repeated { 0 } else { h };
        let x = self.elements[((b * tokens + t) * heads + h) * head_dim + d];
        match self.element {
            ElementType::F16 => f16::from_f32(x).to_f32(),
            ElementType::Bf16 => bf16::from_f32(x).to_f32(),
            _ => x,
        }
    }

    pub(crate) fn set(&mut self, [b, t, h, d]: [usize; 4], x: f32) {
        let Extents { tokens, heads, head_dim, .. } = self.extents;
        self.elements[((b * tokens + t) * heads + h) * head_dim + d] = x;
    }

    /// The memory that a kernel sees: NaN wherever there is no element.
    pub(crate) fn stored<T: Element>(&self) -> Vec<T> {
        let mut memory = vec![T::from_f32(f32::NAN); self.lay.span(self.extents)];
        for index in indices(self.extents) {
            memory[self.lay.index(self.extents, index)] = T::from_f32(self.at(index));
        }
        memory
    }

    pub(crate) fn view<'m, T>(&self, memory: &'m [T]) -> View<'m, T> {
        View::with_strides(memory, self.extents, self.lay.strides(self.extents)).expect("the test's own layout")
    }
}
