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
use nifti_decode::cases::{self, Packing, Reading};
use proof::bench::{Bench, Ceiling, Suite};
use record::Work;

#[global_allocator]
static ALLOCATOR: proof::alloc::Counting = proof::alloc::Counting;

fn main() {
    let files = Files::default();
    proof::bench::main(|suite| {
        for row in rows() {
            declare(suite, &files, row);
        }
    });
}

/// The cases of the table that are measured, each with our kernel and with its rivals.
fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for case in cases::cases().into_iter().filter(|case| case.tier > 0) {
        let Some(run) = Run::of(&case.params) else { continue };
        let name = case.name.split_once('-').map_or("", |(volume, _)| volume).to_owned();
        let row =
            |threads, kernel, tier| Row { reading: case.params, volume: name.clone(), run, threads, kernel, tier };
        let most = case.threads.iter().copied().max().unwrap_or(1);
        // With several numbers of threads, the largest tells most.
        rows.extend(case.threads.iter().map(|&n| row(n, "auto", if n == most { case.tier } else { case.tier.max(2) })));
        match (run, case.params.packing) {
            (Run::Mapped, _) => rows.push(row(1, "cpu-scalar", 2)),
            (Run::Read, Packing::Plain) => rows.push(row(1, "nifti", 2)),
            // Against libdeflate alone and the crate `nifti`.
            (Run::Read, Packing::Gzip6) => rows.extend(["libdeflate", "nifti"].map(|kernel| row(1, kernel, 2))),
            _ => {}
        }
    }
    rows
}

fn declare(suite: &mut Suite, files: &Files, row: Row) {
    let Reading { kind, shape, packing, .. } = row.reading;
    let packing = match packing {
        Packing::Plain => "nii",
        Packing::Bgzf => "bgzf",
        _ => "gz",
    };
    let voxels: usize = shape.iter().product();
    let (stored, output) = row.run.bytes(voxels, kind.datatype().bytes());
    let bench = Bench {
        group: format!("nifti-decode/{packing}/{}", row.run.types()),
        function: format!("{}{}/resident/t{}", row.volume, row.run.name(), row.threads),
        value: row.kernel.to_owned(),
        tier: row.tier,
        work: Work { flops: None, bytes: Some((stored + output) as f64), elements: Some(voxels as f64) },
        // Memory bandwidth is no ceiling: a volume may be in the last-level cache while its output goes to memory.
        ceiling: Ceiling::None,
    };
    suite.bench(bench, || Box::new(Contest::new(files, row)));
}
