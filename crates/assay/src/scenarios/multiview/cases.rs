//! The inputs of the sweep, under the names of the report that it reproduces.

use ::multiview::{Config, Keep, Shape};
use anyhow::{Result, anyhow};
use scenario::Cell;

/// Name, batch, frames and pixels. Two pairs of names stand for the same input.
const CASES: [(&str, usize, usize, usize); 17] = [
    ("small_2frames", 1, 2, 112),
    ("small_4frames", 1, 4, 112),
    ("medium_B1_S8", 1, 8, 224),
    ("medium_B2_S4", 2, 4, 224),
    ("medium_B4_S2", 4, 2, 224),
    ("res_112", 1, 4, 112),
    ("res_224", 1, 4, 224),
    ("res_448", 1, 4, 448),
    ("1frames_large_res", 1, 4, 518),
    ("2frames_large_res", 1, 2, 518),
    ("4frames_large_res", 1, 4, 518),
    ("8frames_large_res", 1, 8, 518),
    ("16frames_large_res", 1, 16, 518),
    ("32frames_large_res", 1, 32, 518),
    ("64frames_large_res", 1, 64, 518),
    ("128frames_large_res", 1, 128, 518),
    ("256frames_large_res", 1, 256, 518),
];

/// The model of a cell.
pub(super) fn config(cell: &Cell) -> Result<Config> {
    match cell.text("dims")? {
        "toy" => Ok(Config::TOY),
        "heads-of-64" => Ok(Config::HEADS_OF_64),
        "vggt" => Ok(Config::VGGT),
        other => Err(anyhow!("there are no dimensions `{other}`")),
    }
}

/// The input of a case.
pub(super) fn shape(case: &str) -> Result<Shape> {
    let found = CASES.iter().find(|(name, ..)| *name == case).ok_or_else(|| anyhow!("there is no case `{case}`"))?;
    let &(_, batch, frames, pixels) = found;
    Ok(Shape { batch, ..Shape::square(frames, pixels) })
}

/// The case before it in the list that is the same input under another name.
pub(super) fn alias(case: &str) -> Option<&'static str> {
    let place = CASES.iter().position(|(name, ..)| *name == case)?;
    let input = |(_, batch, frames, pixels): (&str, usize, usize, usize)| [batch, frames, pixels];
    CASES[..place].iter().find(|other| input(**other) == input(CASES[place])).map(|(name, ..)| *name)
}

/// What a cell keeps.
pub(super) fn keep(cell: &Cell) -> Result<Keep> {
    let name = cell.text("keep")?;
    Keep::ALL.into_iter().find(|keep| keep.name() == name).ok_or_else(|| anyhow!("nothing is called `{name}`"))
}

#[cfg(test)]
mod tests {
    use scenario::{Level, Matrix};

    use super::*;

    #[test]
    fn every_cell_of_the_matrix_is_a_problem() {
        let matrix = Matrix::parse(super::super::SCENARIO.matrix).unwrap();
        for cell in matrix.level(Level::Full) {
            let (config, shape) = (config(cell).unwrap(), shape(cell.text("case").unwrap()).unwrap());
            shape.check(&config).unwrap();
            keep(cell).unwrap();
        }
        // Names of the same input are promised to give the same output, and no others.
        for cell in matrix.level(Level::Full) {
            let stands_for = matrix.same_output(cell).unwrap_or_else(|| cell.clone());
            let case = cell.text("case").unwrap();
            assert_eq!(stands_for.text("case").unwrap(), alias(case).unwrap_or(case));
            let keep = keep(cell).unwrap();
            let expected = if keep == Keep::ProjectedF16 { keep } else { Keep::All };
            assert_eq!(stands_for.text("keep").unwrap(), expected.name());
        }
        let axis = matrix.axes().iter().find(|axis| axis.name == "case").unwrap();
        assert!(axis.values.iter().eq(CASES.iter().map(|(name, ..)| name)));
    }
}
