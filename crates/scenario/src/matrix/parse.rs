//! From the text of a matrix to a checked one.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use toml::Value;

use super::{Axis, Level, MAX_CELLS, Matrix, Program, Rule, Same, product};
use crate::cell::{Cell, CellError, check_name, check_value};
use crate::hash;

/// Longest time limit of a process: a week.
const MAX_LIMIT_S: f64 = 7.0 * 86_400.0;
/// Most processes of a cell.
const MAX_RUNS: u32 = 1000;

/// Why a text is no matrix.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MatrixError {
    /// Not TOML, a key that is not known, or a value of another type.
    #[error("{message}")]
    Toml {
        /// The parser's message, with line and column.
        message: String,
    },
    /// A name, a value or a cell is not of the right form.
    #[error("{place}: {source}")]
    Cell {
        /// Table of the file.
        place: String,
        /// What is wrong.
        source: CellError,
    },
    /// A number is out of its range.
    #[error("`{key}` is {got}; it must be {range}")]
    Range {
        /// The key.
        key: &'static str,
        /// Its value.
        got: String,
        /// What it may be.
        range: &'static str,
    },
    /// Something stands twice.
    #[error("{place}: `{name}` stands twice")]
    Twice {
        /// Table of the file.
        place: String,
        /// What stands twice.
        name: String,
    },
    /// A list is empty.
    #[error("{place} is empty")]
    Empty {
        /// The list.
        place: String,
    },
    /// A table names an axis that is not declared.
    #[error("{place}: there is no axis `{axis}`")]
    Axis {
        /// Table of the file.
        place: String,
        /// The axis.
        axis: String,
    },
    /// A table names a value that its axis does not declare.
    #[error("{place}: `{axis}` does not list the value `{value}`")]
    Undeclared {
        /// Table of the file.
        place: String,
        /// The axis.
        axis: String,
        /// The value.
        value: String,
    },
    /// A value is neither text nor a whole number.
    #[error("{place}: a value of `{axis}` is of type {found}; it must be text or a whole number")]
    Type {
        /// Table of the file.
        place: String,
        /// The axis.
        axis: String,
        /// The type that was found.
        found: &'static str,
    },
    /// A level has too many cells.
    #[error("{place} has {cells} cells; at most {MAX_CELLS}")]
    Cells {
        /// The level.
        place: String,
        /// Cells that it would have; saturates.
        cells: u128,
    },
    /// A rule matches no cell of any level.
    #[error("rule {rule} matches no cell")]
    Dead {
        /// Its number, from 1.
        rule: usize,
    },
    /// A rule says nothing, or excludes cells and says something else about them.
    #[error("rule {rule} needs either `exclude`, or `limit_s`, `program` or both")]
    Says {
        /// Its number, from 1.
        rule: usize,
    },
    /// A promise about the outputs of less than two values.
    #[error("[[same]] of `{axis}` has one value; it needs two or more")]
    Alone {
        /// Its axis.
        axis: String,
    },
    /// A rule names a program that is not declared, or a program is named by no rule.
    #[error("program `{name}` is {fault}")]
    Program {
        /// Its name.
        name: String,
        /// What is wrong.
        fault: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    title: String,
    primary: String,
    runs: u32,
    limit_s: f64,
    axis: Vec<AxisTable>,
    smoke: Value,
    default: Option<Value>,
    full: Value,
    #[serde(default)]
    rule: Vec<RuleTable>,
    #[serde(default)]
    program: Vec<Program>,
    #[serde(default)]
    same: Vec<SameTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SameTable {
    axis: String,
    values: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AxisTable {
    name: String,
    values: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleTable {
    when: BTreeMap<String, Value>,
    exclude: Option<String>,
    limit_s: Option<f64>,
    program: Option<String>,
}

pub(super) fn matrix(text: &str) -> Result<Matrix, MatrixError> {
    let file: File = toml::from_str(text).map_err(|error| MatrixError::Toml { message: error.to_string() })?;
    check_name(&file.primary).map_err(|source| MatrixError::Cell { place: "primary".to_owned(), source })?;
    if !(1..=MAX_RUNS).contains(&file.runs) {
        return Err(MatrixError::Range { key: "runs", got: file.runs.to_string(), range: "1 to 1000" });
    }
    check_limit(file.limit_s)?;
    let axes = axes(&file.axis)?;
    let rules = file.rule.into_iter().enumerate().map(|(at, table)| rule(&axes, at + 1, table));
    let rules = rules.collect::<Result<Vec<_>, _>>()?;
    let smoke = level(&axes, Level::Smoke, &file.smoke)?;
    let full = level(&axes, Level::Full, &file.full)?;
    let default = file.default.map_or_else(|| Ok(full.clone()), |table| level(&axes, Level::Default, &table))?;
    let mut levels = [smoke, default, full];
    for (at, rule) in rules.iter().enumerate() {
        if !levels.iter().flatten().any(|cell| rule.matches(cell)) {
            return Err(MatrixError::Dead { rule: at + 1 });
        }
    }
    for (cells, level) in levels.iter_mut().zip(Level::ALL) {
        cells.retain(|cell| !rules.iter().any(|rule| rule.exclude.is_some() && rule.matches(cell)));
        if cells.is_empty() {
            return Err(MatrixError::Empty { place: place(level) });
        }
    }
    check_programs(&file.program, &rules)?;
    let same = file.same.iter().map(|table| same(&axes, table)).collect::<Result<_, _>>()?;
    Ok(Matrix {
        title: file.title,
        primary: file.primary,
        runs: file.runs,
        hash: hash::of(text.as_bytes()),
        limit_s: file.limit_s,
        axes,
        levels,
        rules,
        programs: file.program,
        same,
    })
}

fn check_limit(limit_s: f64) -> Result<(), MatrixError> {
    if limit_s > 0.0 && limit_s <= MAX_LIMIT_S {
        return Ok(());
    }
    Err(MatrixError::Range { key: "limit_s", got: limit_s.to_string(), range: "above 0 and at most a week" })
}

fn axes(tables: &[AxisTable]) -> Result<Vec<Axis>, MatrixError> {
    if tables.is_empty() {
        return Err(MatrixError::Empty { place: "[[axis]]".to_owned() });
    }
    let mut axes: Vec<Axis> = Vec::new();
    for AxisTable { name, values } in tables {
        let place = format!("axis `{name}`");
        check_name(name).map_err(|source| MatrixError::Cell { place: place.clone(), source })?;
        if axes.iter().any(|axis| axis.name == *name) {
            return Err(MatrixError::Twice { place: "[[axis]]".to_owned(), name: name.clone() });
        }
        axes.push(Axis { name: name.clone(), values: values_of(&place, name, values)? });
    }
    Ok(axes)
}

/// Checked values without duplicates.
fn values_of(place: &str, axis: &str, values: &[Value]) -> Result<Vec<String>, MatrixError> {
    let mut known: Vec<String> = Vec::new();
    for value in values {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            other => {
                let (place, axis, found) = (place.to_owned(), axis.to_owned(), other.type_str());
                return Err(MatrixError::Type { place, axis, found });
            }
        };
        check_value(axis, &text).map_err(|source| MatrixError::Cell { place: place.to_owned(), source })?;
        if known.contains(&text) {
            return Err(MatrixError::Twice { place: format!("{place}, `{axis}`"), name: text });
        }
        known.push(text);
    }
    if known.is_empty() {
        return Err(MatrixError::Empty { place: format!("{place}, `{axis}`") });
    }
    Ok(known)
}

/// Values of a declared axis; a single one may stand without brackets.
fn declared(axes: &[Axis], place: &str, name: &str, value: &Value) -> Result<Vec<String>, MatrixError> {
    let axis = axes.iter().find(|axis| axis.name == name);
    let axis = axis.ok_or_else(|| MatrixError::Axis { place: place.to_owned(), axis: name.to_owned() })?;
    let values = match value {
        Value::Array(values) => values_of(place, name, values)?,
        single => values_of(place, name, std::slice::from_ref(single))?,
    };
    match values.iter().find(|value| !axis.values.contains(value)) {
        None => Ok(values),
        Some(value) => {
            let (place, axis, value) = (place.to_owned(), name.to_owned(), value.clone());
            Err(MatrixError::Undeclared { place, axis, value })
        }
    }
}

fn place(level: Level) -> String {
    format!("[{}]", level.name())
}

/// The union of the products that a level's tables describe, each cell once.
fn level(axes: &[Axis], of: Level, value: &Value) -> Result<Vec<Cell>, MatrixError> {
    let place = place(of);
    let wrong = |found: &Value| MatrixError::Toml {
        message: format!("{place} is of type {}; it must be a table or several", found.type_str()),
    };
    let tables: Vec<&Value> = match value {
        Value::Array(tables) => tables.iter().collect(),
        single => vec![single],
    };
    if tables.is_empty() {
        return Err(MatrixError::Empty { place });
    }
    let (mut cells, mut known): (Vec<Cell>, HashSet<Cell>) = Default::default();
    for table in tables {
        let table = table.as_table().ok_or_else(|| wrong(table))?;
        if let Some(unknown) = table.keys().find(|name| axes.iter().all(|axis| axis.name != **name)) {
            return Err(MatrixError::Axis { place, axis: unknown.clone() });
        }
        let values = axes.iter().map(|axis| {
            let own = table.get(&axis.name).map(|value| declared(axes, &place, &axis.name, value)).transpose()?;
            Ok((axis.name.clone(), own.unwrap_or_else(|| axis.values.clone())))
        });
        let values = values.collect::<Result<Vec<_>, MatrixError>>()?;
        // Before anything of that size is made.
        let count = values.iter().fold(1_u128, |count, (_, values)| count.saturating_mul(values.len() as u128));
        let total = count.saturating_add(cells.len() as u128);
        if total > MAX_CELLS as u128 {
            return Err(MatrixError::Cells { place, cells: total });
        }
        let product = product(&values).map_err(|source| MatrixError::Cell { place: place.clone(), source })?;
        cells.extend(product.into_iter().filter(|cell| known.insert(cell.clone())));
    }
    Ok(cells)
}

fn rule(axes: &[Axis], number: usize, table: RuleTable) -> Result<Rule, MatrixError> {
    let place = format!("rule {number}");
    let RuleTable { when, exclude, limit_s, program } = table;
    if exclude.is_some() == (limit_s.is_some() || program.is_some()) {
        return Err(MatrixError::Says { rule: number });
    }
    if when.is_empty() || exclude.as_ref().is_some_and(|why| why.trim().is_empty()) {
        return Err(MatrixError::Empty { place: format!("{place}, `when` or `exclude`") });
    }
    if let Some(limit_s) = limit_s {
        check_limit(limit_s)?;
    }
    let when = when.iter().map(|(axis, value)| Ok((axis.clone(), declared(axes, &place, axis, value)?)));
    Ok(Rule { when: when.collect::<Result<_, MatrixError>>()?, exclude, limit_s, program })
}

fn same(axes: &[Axis], SameTable { axis, values }: &SameTable) -> Result<Same, MatrixError> {
    let (axis, values) = (axis.clone(), declared(axes, "[[same]]", axis, values)?);
    if values.len() < 2 { Err(MatrixError::Alone { axis }) } else { Ok(Same { axis, values }) }
}

fn check_programs(programs: &[Program], rules: &[Rule]) -> Result<(), MatrixError> {
    let fault = |name: &str, fault| Err(MatrixError::Program { name: name.to_owned(), fault });
    for (at, program) in programs.iter().enumerate() {
        let is_below = |dir: &str| {
            let is_plain = |part| matches!(part, std::path::Component::Normal(_));
            !dir.is_empty() && std::path::Path::new(dir).components().all(is_plain)
        };
        if programs[..at].iter().any(|before| before.name == program.name) {
            return Err(MatrixError::Twice { place: "[[program]]".to_owned(), name: program.name.clone() });
        }
        if program.command.is_empty() {
            return fault(&program.name, "without a command");
        }
        if !is_below(&program.dir) {
            return fault(&program.name, "not in a directory below the workspace");
        }
        if !rules.iter().any(|rule| rule.program.as_ref() == Some(&program.name)) {
            return fault(&program.name, "named by no rule");
        }
    }
    let named = rules.iter().filter_map(|rule| rule.program.as_deref());
    match named.into_iter().find(|name| programs.iter().all(|program| program.name != *name)) {
        Some(name) => fault(name, "not declared"),
        None => Ok(()),
    }
}
