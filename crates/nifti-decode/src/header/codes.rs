//! Names of the codes in a header, as nifti1.h defines them.

use super::Header;

/// Unit of the spatial axes: of `pixdim[1..4]`, the offsets and the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum SpaceUnit {
    /// `NIFTI_UNITS_METER`.
    Meter = 1,
    /// `NIFTI_UNITS_MM`.
    Millimeter = 2,
    /// `NIFTI_UNITS_MICRON`.
    Micrometer = 3,
}

impl SpaceUnit {
    /// All units.
    pub const ALL: [Self; 3] = [Self::Meter, Self::Millimeter, Self::Micrometer];

    /// As it is written after a number: `mm`.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Meter => "m",
            Self::Millimeter => "mm",
            Self::Micrometer => "µm",
        }
    }

    /// As nibabel names it: `meter`, `mm`, `micron`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Meter => "meter",
            Self::Millimeter => "mm",
            Self::Micrometer => "micron",
        }
    }

    /// `length` of this unit in millimeters.
    pub fn to_mm(self, length: f64) -> f64 {
        match self {
            Self::Meter => length * 1e3,
            Self::Millimeter => length,
            // Divided: 1e-3 is not exact.
            Self::Micrometer => length / 1e3,
        }
    }
}

/// Unit of the fourth axis: of `pixdim[4]`, `toffset` and `slice_duration`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum TimeUnit {
    /// `NIFTI_UNITS_SEC`.
    Second = 8,
    /// `NIFTI_UNITS_MSEC`.
    Millisecond = 16,
    /// `NIFTI_UNITS_USEC`.
    Microsecond = 24,
    /// `NIFTI_UNITS_HZ`: the axis is a frequency.
    Hertz = 32,
    /// `NIFTI_UNITS_PPM`: the axis is a chemical shift, in parts per million.
    PartsPerMillion = 40,
    /// `NIFTI_UNITS_RADS`: the axis is an angular frequency.
    RadiansPerSecond = 48,
}

impl TimeUnit {
    /// All units.
    pub const ALL: [Self; 6] = [
        Self::Second,
        Self::Millisecond,
        Self::Microsecond,
        Self::Hertz,
        Self::PartsPerMillion,
        Self::RadiansPerSecond,
    ];

    /// As it is written after a number: `ms`.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Millisecond => "ms",
            Self::Microsecond => "µs",
            Self::Hertz => "Hz",
            Self::PartsPerMillion => "ppm",
            Self::RadiansPerSecond => "rad/s",
        }
    }

    /// As nibabel names it: `sec`, `msec`, `usec`, `hz`, `ppm`, `rads`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Second => "sec",
            Self::Millisecond => "msec",
            Self::Microsecond => "usec",
            Self::Hertz => "hz",
            Self::PartsPerMillion => "ppm",
            Self::RadiansPerSecond => "rads",
        }
    }

    /// `time` of this unit in seconds; `None` for units that are not of time.
    pub fn to_seconds(self, time: f64) -> Option<f64> {
        match self {
            Self::Second => Some(time),
            Self::Millisecond => Some(time / 1e3),
            Self::Microsecond => Some(time / 1e6),
            Self::Hertz | Self::PartsPerMillion | Self::RadiansPerSecond => None,
        }
    }
}

/// What the codes of `intent_code` mean, as nibabel names them.
const INTENTS: &[(i32, &str)] = &[
    (0, "none"),
    (2, "correlation"),
    (3, "t test"),
    (4, "f test"),
    (5, "z score"),
    (6, "chi2"),
    (7, "beta"),
    (8, "binomial"),
    (9, "gamma"),
    (10, "poisson"),
    (11, "normal"),
    (12, "non central f test"),
    (13, "non central chi2"),
    (14, "logistic"),
    (15, "laplace"),
    (16, "uniform"),
    (17, "non central t test"),
    (18, "weibull"),
    (19, "chi"),
    (20, "inverse gaussian"),
    (21, "extreme value 1"),
    (22, "p value"),
    (23, "log p value"),
    (24, "log10 p value"),
    (1001, "estimate"),
    (1002, "label"),
    (1003, "neuroname"),
    (1004, "general matrix"),
    (1005, "symmetric matrix"),
    (1006, "displacement vector"),
    (1007, "vector"),
    (1008, "pointset"),
    (1009, "triangle"),
    (1010, "quaternion"),
    (1011, "dimensionless"),
    (2001, "time series"),
    (2002, "node index"),
    (2003, "rgb vector"),
    (2004, "rgba vector"),
    (2005, "shape"),
    (2006, "fnirt disp field"),
    (2007, "fnirt cubic spline coef"),
    (2008, "fnirt dct coef"),
    (2009, "fnirt quad spline coef"),
    (2016, "topup cubic spline coef"),
    (2017, "topup quad spline coef"),
    (2018, "topup field"),
    (3000, "ConnUnknown"),
    (3001, "ConnDense"),
    (3002, "ConnDenseSeries"),
    (3003, "ConnParcels"),
    (3004, "ConnParcelSries"),
    (3006, "ConnDenseScalar"),
    (3007, "ConnDenseLabel"),
    (3008, "ConnParcelScalr"),
    (3009, "ConnParcelDense"),
    (3010, "ConnDenseParcel"),
    (3011, "ConnPPSr"),
    (3012, "ConnPPSc"),
];

/// What the codes of extensions mean, as nibabel names them.
const EXTENSIONS: &[(i32, &str)] = &[
    (0, "ignore"),
    (2, "dicom"),
    (4, "afni"),
    (6, "comment"),
    (8, "xcede"),
    (10, "jimdiminfo"),
    (12, "workflow_fwds"),
    (14, "freesurfer"),
    (16, "pypickle"),
    (18, "mind_ident"),
    (20, "b_value"),
    (22, "spherical_direction"),
    (24, "dt_component"),
    (26, "shc_degreeorder"),
    (28, "voxbo"),
    (30, "caret"),
    (32, "cifti"),
    (34, "variable_frame_timing"),
    (38, "eval"),
    (40, "matlab"),
    (42, "quantiphyse"),
    (44, "mrs"),
];

fn name(table: &'static [(i32, &'static str)], code: i32) -> Option<&'static str> {
    table.iter().find(|row| row.0 == code).map(|row| row.1)
}

/// Name of a `qform_code` or `sform_code`: `scanner`, `mni`; `None` for a code that is not defined.
pub fn form_name(code: i32) -> Option<&'static str> {
    const FORMS: [&str; 6] = ["unknown", "scanner", "aligned", "talairach", "mni", "template"];
    usize::try_from(code).ok().and_then(|code| FORMS.get(code).copied())
}

/// Name of an extension's code: `afni`, `cifti`; `None` for a code that is not known.
pub fn extension_name(ecode: i32) -> Option<&'static str> {
    name(EXTENSIONS, ecode)
}

impl Header {
    /// Unit of the spatial axes; `None` where the header does not say, which is commonly read as millimeters.
    pub fn space_unit(&self) -> Option<SpaceUnit> {
        SpaceUnit::ALL.into_iter().find(|&unit| self.xyzt_units & 0x07 == unit as i32)
    }

    /// Unit of the fourth axis; `None` where the header does not say.
    pub fn time_unit(&self) -> Option<TimeUnit> {
        TimeUnit::ALL.into_iter().find(|&unit| self.xyzt_units & 0x38 == unit as i32)
    }

    /// `length`, a distance or a coordinate of this header, in millimeters. Without a unit it counts as millimeters.
    pub fn to_mm(&self, length: f64) -> f64 {
        self.space_unit().map_or(length, |unit| unit.to_mm(length))
    }

    /// Name of the intent: `label`, `t test`; `None` for a code that is not known.
    pub fn intent(&self) -> Option<&'static str> {
        name(INTENTS, self.intent_code)
    }

    /// Order of the slices in time: `sequential increasing`; `None` where `slice_code` is 0 or not defined.
    pub fn slice_order(&self) -> Option<&'static str> {
        const ORDERS: [&str; 6] = [
            "sequential increasing",
            "sequential decreasing",
            "alternating increasing",
            "alternating decreasing",
            "alternating increasing from the second slice",
            "alternating decreasing from the last but one slice",
        ];
        usize::try_from(self.slice_code).ok()?.checked_sub(1).and_then(|code| ORDERS.get(code).copied())
    }

    /// Axes of frequency, phase and slice encoding, each 0 for x to 2 for z: the parts of `dim_info`.
    pub fn encoding_axes(&self) -> [Option<usize>; 3] {
        [0, 2, 4].map(|shift| {
            ((self.dim_info >> shift) & 3).checked_sub(1).map(|axis| axis as usize).filter(|&axis| axis < 3)
        })
    }

    /// `aux_file` as text.
    pub fn aux_file_name(&self) -> String {
        super::text(&self.aux_file)
    }

    /// `intent_name` as text.
    pub fn intent_label(&self) -> String {
        super::text(&self.intent_name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Datatype, Version};

    fn header() -> Header {
        Header::new(Version::Nifti1, Datatype::Uint8, &[2, 3, 4]).unwrap()
    }

    #[test]
    fn units_share_a_byte() {
        let units = |xyzt_units| {
            let header = Header { xyzt_units, ..header() };
            (header.space_unit(), header.time_unit(), header.to_mm(400.0))
        };
        assert_eq!(units(0), (None, None, 400.0));
        assert_eq!(units(2 + 8), (Some(SpaceUnit::Millimeter), Some(TimeUnit::Second), 400.0));
        assert_eq!(units(3 + 16), (Some(SpaceUnit::Micrometer), Some(TimeUnit::Millisecond), 0.4));
        assert_eq!(units(1 + 24), (Some(SpaceUnit::Meter), Some(TimeUnit::Microsecond), 400_000.0));
        assert_eq!(units(40), (None, Some(TimeUnit::PartsPerMillion), 400.0));
        // Codes that nobody defined.
        assert_eq!(units(7 + 56), (None, None, 400.0));
        assert_eq!(TimeUnit::Millisecond.to_seconds(2000.0), Some(2.0));
        assert_eq!(TimeUnit::Hertz.to_seconds(1.0), None);
    }

    #[test]
    fn codes_have_names() {
        let header = Header { intent_code: 1002, slice_code: 4, dim_info: 0b11_01_10, ..header() };
        assert_eq!((header.intent(), header.slice_order()), (Some("label"), Some("alternating decreasing")));
        assert_eq!(header.encoding_axes(), [Some(1), Some(0), Some(2)]);
        let none = Header { intent_code: 4711, slice_code: -1, dim_info: 0, ..header };
        assert_eq!((none.intent(), none.slice_order(), none.encoding_axes()), (None, None, [None; 3]));
        assert_eq!((form_name(4), form_name(6), form_name(-1)), (Some("mni"), None, None));
        assert_eq!((extension_name(32), extension_name(33)), (Some("cifti"), None));
        for table in [INTENTS, EXTENSIONS] {
            assert!(table.is_sorted_by(|a, b| a.0 < b.0));
        }
    }
}
