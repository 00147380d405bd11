//! Reading NIfTI files into arrays: whole volumes, regions and headers, next to the crate `nifti` and raw libdeflate.
//!
//! Volumes are phantoms with the extents and the compression ratio of real ones. Their files are in a temporary
//! directory and in the page cache. Outputs and scratch memory are reused, as in a loader after its first volume.

#[path = "nifti-decode/contest.rs"]
mod contest;
#[path = "nifti-decode/files.rs"]
mod files;

use contest::{Contest, Row, Run};
use files::Files;
use nifti_decode::{Kind, Pack};
use proof::bench::{Bench, Ceiling, Suite};
use record::Work;

#[global_allocator]
static ALLOCATOR: proof::alloc::Counting = proof::alloc::Counting;

const BRAIN: (Kind, &[usize], &str) = (Kind::Brain, &[240, 240, 155], "brain");
/// A chest with half the usual extent along each axis, so that setup does not take minutes.
const CT: (Kind, &[usize], &str) = (Kind::Ct, &[256, 256, 150], "ct4");
const WIDE_CT: (Kind, &[usize], &str) = (Kind::Ct, &[512, 512, 128], "ct128");

fn main() {
    let files = Files::default();
    proof::bench::main(|suite| {
        for row in rows() {
            declare(suite, &files, row);
        }
    });
}

fn rows() -> Vec<Row> {
    let gzip = Pack::Gzip { level: 6 };
    let bgzf = Pack::Bgzf { level: 6 };
    let row = |volume, pack, run, threads, kernel, tier| Row { volume, pack, run, threads, kernel, tier };
    let mut rows = Vec::new();
    // Plain files.
    for (run, tier) in [
        (Run::Mapped, 1),
        (Run::Read, 1),
        (Run::Swapped, 1),
        (Run::Half, 2),
        (Run::Brain, 2),
        (Run::Flipped, 2),
        (Run::Permuted, 1),
        (Run::Stats, 1),
        (Run::Zscore, 2),
    ] {
        rows.push(row(BRAIN, Pack::Plain, run, 1, "auto", tier));
    }
    rows.push(row(BRAIN, Pack::Plain, Run::Mapped, 1, "cpu-scalar", 2));
    rows.push(row(BRAIN, Pack::Plain, Run::Read, 1, "nifti", 2));
    // Compressed files, against libdeflate alone and the crate `nifti`.
    for volume in [BRAIN, CT] {
        rows.push(row(volume, gzip, Run::Read, 1, "auto", 1));
        rows.push(row(volume, gzip, Run::Read, 1, "libdeflate", 2));
        rows.push(row(volume, gzip, Run::Read, 1, "nifti", 2));
    }
    // Parallel.
    for threads in [1, 2] {
        rows.push(row(CT, bgzf, Run::Read, threads, "auto", if threads == 2 { 1 } else { 2 }));
        rows.push(row(CT, gzip, Run::Indexed, threads, "auto", 2));
    }
    // Regions: without an index, everything before the region's end is decompressed.
    rows.push(row(WIDE_CT, gzip, Run::Patch, 1, "auto", 2));
    rows.push(row(WIDE_CT, gzip, Run::PatchByIndex, 1, "auto", 1));
    rows.push(row(WIDE_CT, bgzf, Run::Patch, 1, "auto", 2));
    rows.push(row(WIDE_CT, Pack::Plain, Run::Patch, 1, "auto", 2));
    rows.push(row(WIDE_CT, Pack::Plain, Run::PatchMapped, 1, "auto", 1));
    rows.push(row(WIDE_CT, gzip, Run::FirstSlices, 1, "auto", 3));
    rows.push(row(BRAIN, gzip, Run::Header, 1, "auto", 2));
    rows.push(row(BRAIN, gzip, Run::BuildIndex, 1, "auto", 3));
    rows
}

fn declare(suite: &mut Suite, files: &Files, row: Row) {
    let (kind, shape, name) = row.volume;
    let packing = match row.pack {
        Pack::Plain => "nii",
        Pack::Bgzf { .. } => "bgzf",
        _ => "gz",
    };
    let voxels: usize = shape.iter().product();
    let (stored, output) = row.run.bytes(voxels, kind.datatype().bytes());
    let bench = Bench {
        group: format!("nifti-decode/{packing}/{}", row.run.types()),
        function: format!("{name}{}/resident/t{}", row.run.name(), row.threads),
        value: row.kernel.to_owned(),
        tier: row.tier,
        work: Work { flops: None, bytes: Some((stored + output) as f64), elements: Some(voxels as f64) },
        // Memory bandwidth is no ceiling: a volume may be in the last-level cache while its output goes to memory.
        ceiling: Ceiling::None,
    };
    suite.bench(bench, || Box::new(Contest::new(files, row)));
}
