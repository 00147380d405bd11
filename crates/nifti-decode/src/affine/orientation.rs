//! Which way the voxel axes run, and how to reorient a volume.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Affine, polar};

/// The direction that an axis runs in: toward one end of an axis of space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AxisCode {
    /// To the right of the subject.
    R,
    /// To the left.
    L,
    /// To the front.
    A,
    /// To the back.
    P,
    /// To the top.
    S,
    /// To the bottom.
    I,
}

impl AxisCode {
    /// All codes.
    pub const ALL: [AxisCode; 6] = [Self::R, Self::L, Self::A, Self::P, Self::S, Self::I];

    /// Axis of space: 0 for R and L, 1 for A and P, 2 for S and I.
    pub fn axis(self) -> usize {
        self as usize / 2
    }

    /// Whether it is R, A or S.
    pub fn is_positive(self) -> bool {
        (self as usize).is_multiple_of(2)
    }

    fn of(axis: usize, is_positive: bool) -> Self {
        Self::ALL[2 * axis + usize::from(!is_positive)]
    }

    /// The letter.
    pub fn letter(self) -> char {
        ['R', 'L', 'A', 'P', 'S', 'I'][self as usize]
    }
}

/// The directions of the three axes of an array, x first: `RAS`, `LPS`, ..
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Orientation([AxisCode; 3]);

/// Text that is not an orientation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("orientation {got:?}; need one letter each of RL, AP and SI, such as RAS or LPS")]
pub struct UnknownOrientation {
    /// The letters.
    pub got: String,
}

impl Orientation {
    /// x to the right, y to the front, z to the top: nibabel's canonical order.
    pub const RAS: Orientation = Orientation([AxisCode::R, AxisCode::A, AxisCode::S]);
    /// x to the left, y to the back, z to the top: DICOM's and ITK's order.
    pub const LPS: Orientation = Orientation([AxisCode::L, AxisCode::P, AxisCode::S]);

    /// The orientation with these ends; `None` where two share an axis of space.
    pub fn new(codes: [AxisCode; 3]) -> Option<Self> {
        let mut axes = codes.map(AxisCode::axis);
        axes.sort_unstable();
        (axes == [0, 1, 2]).then_some(Self(codes))
    }

    /// All 48.
    pub fn all() -> impl Iterator<Item = Self> {
        let codes = AxisCode::ALL;
        codes
            .into_iter()
            .flat_map(move |x| codes.into_iter().flat_map(move |y| codes.into_iter().map(move |z| [x, y, z])))
            .filter_map(Self::new)
    }

    /// The ends, x first.
    pub fn codes(self) -> [AxisCode; 3] {
        self.0
    }
}

impl fmt::Display for Orientation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.map(AxisCode::letter).iter().collect::<String>())
    }
}

impl FromStr for Orientation {
    type Err = UnknownOrientation;

    fn from_str(s: &str) -> Result<Self, UnknownOrientation> {
        let letters: Vec<AxisCode> =
            s.chars().filter_map(|c| AxisCode::ALL.into_iter().find(|code| code.letter() == c)).collect();
        <[AxisCode; 3]>::try_from(letters)
            .ok()
            .filter(|_| s.len() == 3)
            .and_then(Self::new)
            .ok_or_else(|| UnknownOrientation { got: s.to_owned() })
    }
}

impl TryFrom<String> for Orientation {
    type Error = UnknownOrientation;

    fn try_from(s: String) -> Result<Self, UnknownOrientation> {
        s.parse()
    }
}

impl From<Orientation> for String {
    fn from(orientation: Orientation) -> Self {
        orientation.to_string()
    }
}

/// The direction of each voxel axis, by nibabel's rule (5.x): divide each column by its length, take the nearest
/// rotation, and assign to each voxel axis, the one with the largest component first, the axis of space where its
/// component is largest among those not assigned yet. `None` for an axis without a direction: a column of zeros or of
/// infinities.
pub(super) fn of_affine(affine: &Affine) -> [Option<AxisCode>; 3] {
    let zooms = affine.spacing();
    let unit = [0, 1, 2]
        .map(|row| [0, 1, 2].map(|axis| affine.0[row][axis] / if zooms[axis] == 0.0 { 1.0 } else { zooms[axis] }));
    let mut rotation = polar::orthogonal_factor(&unit);
    let mut codes = [None; 3];
    let strength = |axis: usize| rotation.iter().map(|row| row[axis] * row[axis]).fold(0.0, f64::max);
    let mut axes = [0, 1, 2].map(|axis| (axis, strength(axis)));
    axes.sort_by(|a, b| b.1.total_cmp(&a.1));
    for (axis, _) in axes {
        let column = rotation.map(|row| row[axis]);
        let mut longest = 0;
        for row in 1..3 {
            if column[row].abs() > column[longest].abs() {
                longest = row;
            }
        }
        // The bound of numpy's allclose to 0; NaN is not above it.
        if column[longest].abs() > 1e-8 {
            codes[axis] = Some(AxisCode::of(longest, column[longest] > 0.0));
            rotation[longest] = [0.0; 3];
        }
    }
    codes
}

/// How the three axes of a stored volume become those of another order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reorientation {
    /// For each output axis, the stored axis that becomes it.
    pub(crate) from: [usize; 3],
    /// For each output axis, whether it runs the other way.
    pub(crate) flip: [bool; 3],
}

impl Reorientation {
    pub(crate) const IDENTITY: Reorientation = Reorientation { from: [0, 1, 2], flip: [false; 3] };

    /// From axes that run toward `stored` to those of `wanted`; `None` where a stored axis goes nowhere.
    pub(crate) fn between(stored: [Option<AxisCode>; 3], wanted: Orientation) -> Option<Self> {
        let mut reorientation = Self::IDENTITY;
        for (out, wanted) in wanted.0.into_iter().enumerate() {
            let from = stored.iter().position(|code| code.is_some_and(|code| code.axis() == wanted.axis()))?;
            reorientation.from[out] = from;
            reorientation.flip[out] = stored[from] != Some(wanted);
        }
        Some(reorientation)
    }

    /// Maps indices of the reoriented volume to those of the stored one, whose extents are `stored`.
    pub(crate) fn affine(&self, stored: [usize; 3]) -> Affine {
        let mut affine = Affine([[0.0; 4]; 4]);
        affine.0[3][3] = 1.0;
        for out in 0..3 {
            let from = self.from[out];
            let last = stored[from] as f64 - 1.0;
            affine.0[from][out] = if self.flip[out] { -1.0 } else { 1.0 };
            affine.0[from][3] = if self.flip[out] { last } else { 0.0 };
        }
        affine
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(rows: [[f64; 4]; 3]) -> String {
        let affine = Affine([rows[0], rows[1], rows[2], [0.0, 0.0, 0.0, 1.0]]);
        of_affine(&affine).iter().map(|code| code.map_or('-', AxisCode::letter)).collect()
    }

    #[test]
    fn orientations_as_nibabel_names_them() {
        // The example of nibabel's aff2axcodes, with the letters of RAS.
        assert_eq!(codes([[0.0, 1.0, 0.0, 10.0], [-1.0, 0.0, 0.0, 20.0], [0.0, 0.0, 1.0, 30.0]]), "PRS");
        assert_eq!(codes([[-2.0, 0.0, 0.0, 0.0], [0.0, -2.0, 0.0, 0.0], [0.0, 0.0, 3.0, 0.0]]), "LPS");
        assert_eq!(codes([[0.1, 0.0, 2.0, 0.0], [-3.0, 0.1, 0.0, 0.0], [0.0, 1.0, 0.2, 0.0]]), "PSR");
        assert_eq!(codes([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]), "R-S");
        // y and z are assigned first, and x gets the axis that is left: nibabel 5.4.2 gives RSP, earlier versions SLP.
        let oblique = [[0.5, -0.53, -0.69, 0.0], [-0.53, 0.44, -0.73, 0.0], [0.68, 0.73, -0.05, 0.0]];
        assert_eq!(codes(oblique), "RSP");
    }

    #[test]
    fn all_forty_eight_round_trip() {
        let all: Vec<Orientation> = Orientation::all().collect();
        assert_eq!(all.len(), 48);
        for orientation in all {
            assert_eq!(orientation.to_string().parse(), Ok(orientation));
            let reorientation = Reorientation::between(orientation.codes().map(Some), Orientation::RAS).unwrap();
            let mut affine = Affine([[0.0; 4]; 4]);
            affine.0[3][3] = 1.0;
            for (axis, code) in orientation.codes().into_iter().enumerate() {
                affine.0[code.axis()][axis] = if code.is_positive() { 1.5 } else { -1.5 };
            }
            assert_eq!(of_affine(&affine), orientation.codes().map(Some));
            let reoriented = affine.after(&reorientation.affine([4, 5, 6]));
            assert_eq!(of_affine(&reoriented), Orientation::RAS.codes().map(Some), "{orientation}");
        }
        for wrong in ["RRS", "RA", "RASS", "ras", ""] {
            assert_eq!(wrong.parse::<Orientation>(), Err(UnknownOrientation { got: wrong.to_owned() }));
        }
    }
}
