//! The named cases of opening a file: one home for what benches, peers and tests read.

use op::{NamedCase, ParamError, Parameters, Params};
use quant::GgmlType;

use crate::Endian;

/// The parameters of a case: what is in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    /// A model.
    Model {
        /// Number of tensors.
        tensors: usize,
        /// Number of tokens in its vocabulary.
        tokens: usize,
    },
    /// A model in several files.
    Split {
        /// Number of tensors.
        tensors: usize,
        /// Number of tokens in its vocabulary.
        tokens: usize,
        /// Tensors of each file.
        per_part: usize,
    },
    /// Tensors of one type, of one to four dimensions, and one without elements.
    Type {
        /// Their type.
        ty: GgmlType,
        /// Version of the container, and byte order.
        form: Form,
    },
    /// A key and an array of every type.
    Metadata {
        /// Whether there are numbers that decimal text cannot express.
        is_odd: bool,
        /// Version of the container, and byte order.
        form: Form,
    },
    /// Tensors of few bytes, far apart.
    Alignment {
        /// Alignment of their data.
        alignment: u32,
    },
}

/// Version of the container, and byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// 2 or 3.
    pub version: u32,
    /// Byte order.
    pub endian: Endian,
}

const ENDIANS: [(Endian, &str); 2] = [(Endian::Little, "little"), (Endian::Big, "big")];
const VALUES: [(bool, &str); 2] = [(false, "exact"), (true, "odd")];

impl Form {
    const ALL: [Self; 4] = [
        Self { version: 2, endian: Endian::Little },
        Self { version: 3, endian: Endian::Little },
        Self { version: 2, endian: Endian::Big },
        Self { version: 3, endian: Endian::Big },
    ];

    fn endian(self) -> &'static str {
        if self.endian == Endian::Big { "big" } else { "little" }
    }

    fn to(self, params: Params) -> Params {
        params.with("version", u64::from(self.version)).with("endian", self.endian())
    }

    fn of(params: &Params) -> Result<Self, ParamError> {
        Ok(Self { version: whole(params, "version")?, endian: params.one_of("endian", ENDIANS)? })
    }
}

fn whole(params: &Params, name: &str) -> Result<u32, ParamError> {
    let number = params.number(name)?;
    u32::try_from(number).map_err(|_| ParamError::Kind {
        name: name.to_owned(),
        got: number.into(),
        wanted: "a whole number of 32 bits",
    })
}

impl Parameters for Contents {
    fn to_params(&self) -> Params {
        let file = |kind: &str| Params::new().with("file", kind);
        match *self {
            Self::Model { tensors, tokens } => Params::new().with("tensors", tensors).with("tokens", tokens),
            Self::Split { tensors, tokens, per_part } => {
                file("split").with("tensors", tensors).with("tokens", tokens).with("per_part", per_part)
            }
            Self::Type { ty, form } => form.to(file("type").with("type", ty.name())),
            Self::Metadata { is_odd, form } => form.to(file("metadata").with("values", VALUES[usize::from(is_odd)].1)),
            Self::Alignment { alignment } => file("alignment").with("alignment", u64::from(alignment)),
        }
    }

    fn from_params(params: &Params) -> Result<Self, ParamError> {
        enum Kind {
            Model,
            Split,
            Type,
            Metadata,
            Alignment,
        }
        use Kind::{Alignment, Metadata, Model, Split, Type};
        let words = [(Split, "split"), (Type, "type"), (Metadata, "metadata"), (Alignment, "alignment")];
        let kind = if params.get("file").is_some() { params.one_of("file", words)? } else { Model };
        let model = || Ok((params.number("tensors")?, params.number("tokens")?));
        Ok(match kind {
            Model => {
                let (tensors, tokens) = model()?;
                Self::Model { tensors, tokens }
            }
            Split => {
                let (tensors, tokens) = model()?;
                Self::Split { tensors, tokens, per_part: params.number("per_part")? }
            }
            Type => {
                let ty = params.one_of("type", GgmlType::ALL.iter().map(|&ty| (ty, ty.name())))?;
                Self::Type { ty, form: Form::of(params)? }
            }
            Metadata => Self::Metadata { is_odd: params.one_of("values", VALUES)?, form: Form::of(params)? },
            Alignment => Self::Alignment { alignment: whole(params, "alignment")? },
        })
    }
}

/// Tensors of RWKV-7 2.9B, whose header the benches and the timed peers open.
pub const TENSORS: usize = 902;
/// Tokens of its vocabulary.
pub const TOKENS: usize = 65_536;

/// All named cases. Those of tier 0 show a reader every type, version and byte order that the writer has.
pub fn cases() -> Vec<NamedCase<Contents>> {
    let model = |tensors, tokens| {
        NamedCase::computed(format!("tensors{tensors}-tokens{tokens}"), Contents::Model { tensors, tokens })
    };
    let mut cases = vec![model(TENSORS, TOKENS), model(4, 0).tier(0)];
    let mut add = |name: String, contents| cases.push(NamedCase::computed(name, contents).tier(0));
    for (ty, form) in GgmlType::ALL.iter().flat_map(|&ty| Form::ALL.map(|form| (ty, form))) {
        add(format!("type-{ty}-v{}-{}", form.version, form.endian()), Contents::Type { ty, form });
    }
    for ((is_odd, values), form) in VALUES.iter().flat_map(|&values| Form::ALL.map(|form| (values, form))) {
        add(format!("metadata-{values}-v{}-{}", form.version, form.endian()), Contents::Metadata { is_odd, form });
    }
    for per_part in [1, 4, 10] {
        add(format!("split-by-{per_part}"), Contents::Split { tensors: 10, tokens: 100, per_part });
    }
    for alignment in [1, 8, 64, 4096] {
        add(format!("alignment-{alignment}"), Contents::Alignment { alignment });
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        let cases = cases();
        assert_eq!(op::check_table(&cases), Ok(()));
        assert_eq!(cases.len(), 2 + 4 * GgmlType::ALL.len() + 8 + 3 + 4);
        let refused =
            Contents::from_params(&Contents::Alignment { alignment: 8 }.to_params().with("alignment", 1_u64 << 32));
        assert!(matches!(refused, Err(ParamError::Kind { .. })), "{refused:?}");
    }
}
