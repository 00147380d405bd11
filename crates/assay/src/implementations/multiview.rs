//! Our side of the aggregator ([`::multiview::cases`]): from images to what the depth head reads.

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::path::Path;
use std::rc::Rc;

use ::multiview::{
    Aggregator, CAPTURES, Config, SafetensorsFile, Seeded, Shape,
    cases::{self, Run},
    image, to_safetensors,
};
use op::{CaseRow, Threads};
use peer::{Case, Closures, Description, Implementation, Load, Ran, Refusal};

/// Of the images.
const IMAGE_SEED: u64 = 11;

pub(super) struct Multiview {
    threads: Threads,
}

impl Multiview {
    pub(super) fn new(threads: NonZeroUsize) -> Self {
        Self { threads: threads.into() }
    }
}

impl Implementation for Multiview {
    fn describe(&mut self) -> Result<Description, String> {
        Ok(Description::new("assay", env!("CARGO_PKG_VERSION"), format!("threads: {}", self.threads)))
    }

    fn cases(&mut self) -> Result<Vec<CaseRow>, Refusal> {
        Ok(super::rows(&cases::cases()))
    }

    fn inputs(&mut self, case: &Case, dir: &Path) -> Result<(), Refusal> {
        let run: Run = case.read()?;
        let shape = run.shape();
        let weights = to_safetensors(&run.config, &Seeded(run.seed)).map_err(refused)?;
        peer::write(&dir.join("weights.safetensors"), &weights)?;
        let mut images = vec![0.0; shape.images() * shape.image_values()];
        images.chunks_exact_mut(shape.image_values()).enumerate().for_each(|(i, values)| image(IMAGE_SEED, i, values));
        peer::write(&dir.join("images"), &bytes(&images))?;
        let Config { embed_dim, depth, heads, captured, .. } = run.config;
        let Shape { height, width, .. } = shape;
        let config = serde_json::json!({
            "embed_dim": embed_dim, "depth": depth, "heads": heads, "captured": captured,
            "height": height, "width": width,
        });
        peer::write(&dir.join("config.json"), config.to_string().as_bytes())?;
        Ok(())
    }

    fn load(&mut self, case: &Case, inputs: &Path) -> Load<'_> {
        let run: Run = case.read()?;
        let (shape, keep) = (run.shape(), run.keep);
        let file = std::fs::read(inputs.join("weights.safetensors"))?;
        let model =
            SafetensorsFile::new(&file).and_then(|file| Aggregator::new(&run.config, &file)).map_err(refused)?;
        drop(file);
        let images = peer::read_f32(&inputs.join("images"))?;
        let mut workspace = model.workspace(&shape, self.threads).map_err(refused)?;
        // Nobody reads more than this of a result, whatever is kept.
        let lens = run.config.channels.map(|channels| shape.images() * shape.patches() * channels);
        let read = Rc::new(RefCell::new(lens.map(|len| vec![0.0_f32; len])));
        let shown = read.clone();
        let flops = Aggregator::flops(&run.config, &shape, keep) + Aggregator::head_flops(&run.config, &shape, keep);
        let mut once = move || -> Result<(), ::multiview::RunError> {
            let from = |index: usize, values: &mut [f32]| {
                values.copy_from_slice(&images[index * values.len()..][..values.len()]);
            };
            let kept = model.run(from, keep, &mut workspace)?;
            for index in 0..CAPTURES {
                model.head_input(&kept, index, 0..shape.images(), &mut read.borrow_mut()[index], &mut workspace)?;
            }
            Ok(())
        };
        once().map_err(refused)?;
        let run = move || {
            // The same call succeeded above.
            let _ = once();
        };
        let best = simd::InstructionSet::best();
        let ran = Ran {
            path: keep.to_string(),
            threads: self.threads.get(),
            flops: flops as u64,
            ..Ran::new(best.kernel_name(), best.isa().to_string())
        };
        Ok(Closures::boxed(ran, run, move || shown.borrow().iter().flat_map(|part| bytes(part)).collect()))
    }
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn refused(error: impl std::fmt::Display) -> Refusal {
    Refusal::Error(error.to_string())
}
