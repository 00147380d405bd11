//! `--set axis=value,…`: a part of a matrix. `--set axis=PATH`: a file of the user's, for an axis
//! with the value `own`.
//! A path has a separator: `./model.gguf`.

use std::collections::HashSet;
use std::path::PathBuf;
use std::str::FromStr;

use super::{Level, Matrix};
use crate::cell::{Cell, CellError, check_name, check_value};

/// A restriction of one axis to some of its values. Settings of the same axis add values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The axis.
    pub axis: String,
    /// The values that remain.
    pub values: Vec<String>,
    /// A file or a directory of the user's, for which the value `own` stands.
    pub path: Option<PathBuf>,
}

/// The value that stands for a path.
const OWN: &str = "own";

impl FromStr for Setting {
    type Err = CellError;

    fn from_str(text: &str) -> Result<Self, CellError> {
        let (axis, values) = text.split_once('=').ok_or_else(|| CellError::Part { part: text.to_owned() })?;
        check_name(axis)?;
        if let path @ Some(_) = record::own_path(values) {
            return Ok(Self { axis: axis.to_owned(), values: vec![OWN.to_owned()], path });
        }
        let values: Vec<String> = values.split(',').map(str::to_owned).collect();
        values.iter().try_for_each(|value| check_value(axis, value))?;
        Ok(Self { axis: axis.to_owned(), values, path: None })
    }
}

/// Why a part of a matrix cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectError {
    /// The matrix has no such axis.
    #[error("there is no axis `{axis}`; there are {}", axes.join(", "))]
    Axis {
        /// The axis.
        axis: String,
        /// All axes.
        axes: Vec<String>,
    },
    /// The axis has no such value.
    #[error("`{axis}` is never `{value}`; it is {}", values.join(", "))]
    Value {
        /// The axis.
        axis: String,
        /// The value.
        value: String,
        /// All its values.
        values: Vec<String>,
    },
    /// No cell of the level matches.
    #[error(
        "no cell of [{}] matches{}",
        level.name(),
        others.iter().map(|(level, cells)| format!("; {cells} of [{}] do", level.name())).collect::<String>()
    )]
    Nothing {
        /// The level.
        level: Level,
        /// Other levels, with how many of their cells match.
        others: Vec<(Level, usize)>,
    },
    /// No level has the cell.
    #[error("the matrix has no cell `{cell}`")]
    Unknown {
        /// The cell.
        cell: String,
    },
    /// The text is no cell.
    #[error(transparent)]
    Cell(CellError),
}

pub(super) fn cells(matrix: &Matrix, level: Level, settings: &[Setting]) -> Result<Vec<Cell>, SelectError> {
    for Setting { axis, values, path: _ } in settings {
        let known = matrix.axes().iter().find(|known| known.name == *axis).ok_or_else(|| SelectError::Axis {
            axis: axis.clone(),
            axes: matrix.axes().iter().map(|axis| axis.name.clone()).collect(),
        })?;
        if let Some(value) = values.iter().find(|value| !known.values.contains(value)) {
            let (axis, value, values) = (axis.clone(), value.clone(), known.values.clone());
            return Err(SelectError::Value { axis, value, values });
        }
    }
    let is_left = |cell: &&Cell| {
        matrix.axes().iter().all(|axis| {
            let of_axis = |setting: &&Setting| setting.axis == axis.name && setting.path.is_none();
            let mut own = settings.iter().filter(of_axis).peekable();
            own.peek().is_none()
                || own.any(|setting| setting.values.iter().any(|value| cell.get(&axis.name) == Some(value)))
        })
    };
    let of = |level: Level| matrix.level(level).iter().filter(is_left);
    let mut cells: Vec<Cell> = of(level).cloned().collect();
    // A level says what is measured of its own models or data; the same is measured of the user's.
    for Setting { axis, .. } in settings.iter().filter(|setting| setting.path.is_some()) {
        let replaced = cells.iter().map(|cell| {
            let value = |axis_of: &str| if axis_of == axis { OWN } else { cell.get(axis_of).unwrap_or_default() };
            Cell::new(matrix.axes().iter().map(|known| (known.name.as_str(), value(&known.name))))
        });
        let known: HashSet<&Cell> = Level::ALL.into_iter().flat_map(|level| matrix.level(level)).collect();
        let mut seen = HashSet::new();
        cells = replaced.flatten().filter(|cell| known.contains(cell) && seen.insert(cell.clone())).collect();
    }
    if cells.is_empty() {
        let others = Level::ALL.into_iter().filter(|other| *other != level);
        let others = others.map(|other| (other, of(other).count())).filter(|(_, count)| *count > 0).collect();
        return Err(SelectError::Nothing { level, others });
    }
    Ok(cells)
}
