//! The report: an entry for each model, as the log that this scenario goes back to has them, and every phase.

use std::fmt::Write as _;

use record::{Align, Metric, Table};
use scenario::{CellResult, PEAK_RSS, Report, Results, with_spread};

const NOTES: &str = "
- Load is from the path to the logits of one token, tokenizer included: warm with the file in the page cache, cold
  without. Prefill ends with the logits of the last token; generation feeds back its own most probable token.
- Quality hash: of 64 generated tokens and the largest logit behind the last. Tokens folded: h <- 31 h + token, as
  `JoelTankard/web-rwkv-gguf` computes it. Nothing was timed before the logits of a text were compared with golden ones.
- Of the ceiling: bytes of the weights that a token reads, per second, over what this machine reads.
";

pub(super) fn report(results: &Results<'_>) -> Report {
    let mut body = String::new();
    for subject in subjects(results) {
        entry(&mut body, results, subject);
    }
    // Writing to a string does not fail.
    let _ = write!(body, "## Notes\n{NOTES}\n## Stages of a load\n\n{}", stages(results));
    Report { summary: summary(results), body, figures: Vec::new() }
}

/// What an entry is about.
#[derive(Clone, Copy)]
struct Subject<'r> {
    model: &'r str,
    device: &'r str,
    threads: &'r str,
}

impl<'r> Subject<'r> {
    /// The cell of a phase, if it was measured.
    fn find<'a>(self, results: &'r Results<'a>, phase: &str) -> Option<&'r CellResult<'a>> {
        results.cells().iter().find(|result| {
            let axes = [("model", self.model), ("device", self.device), ("threads", self.threads), ("phase", phase)];
            axes.iter().all(|(axis, value)| result.cell.get(axis) == Some(value)) && !result.records.is_empty()
        })
    }
}

/// All that may have been measured, in the order of the matrix.
fn subjects<'r>(results: &'r Results<'_>) -> Vec<Subject<'r>> {
    let mut subjects = Vec::new();
    for model in results.values("model") {
        for device in results.values("device") {
            let threads = results.values("threads");
            subjects.extend(threads.into_iter().map(|threads| Subject { model, device, threads }));
        }
    }
    subjects
}

fn metric(result: Option<&CellResult<'_>>, name: &str) -> String {
    with_spread(result.and_then(|result| result.metric(name)).as_ref())
}

/// Tokens per second, with the spread.
fn rate(result: Option<&CellResult<'_>>) -> String {
    match result.and_then(|result| result.metric("tokens_per_s")) {
        Some(Metric { value: Some(value), low: Some(low), high: Some(high), .. }) => {
            format!("{value:.1} tok/s ({low:.1} .. {high:.1})")
        }
        Some(Metric { value: Some(value), .. }) => format!("{value:.1} tok/s"),
        _ => "-".to_owned(),
    }
}

fn share(result: Option<&CellResult<'_>>) -> String {
    let share = result.and_then(|result| result.share_of_ceiling("weights_bytes_per_s"));
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", 100.0 * share))
}

fn summary(results: &Results<'_>) -> Table {
    let right = |name| (name, Align::Right);
    let mut table = Table::new([
        ("model", Align::Left),
        ("device", Align::Left),
        right("threads"),
        right("load, warm"),
        right("load, cold"),
        right("prefill 128"),
        right("prefill 512"),
        right("generation"),
        right("of the ceiling"),
        right("n"),
    ]);
    for subject in subjects(results) {
        let all = ["load-warm", "load-cold", "prefill-128", "prefill-512", "generate-64"];
        let all = all.map(|phase| subject.find(results, phase));
        let Some(n) = all.iter().flatten().map(|result| result.records.len()).min() else { continue };
        let [warm, cold, prefill_128, prefill_512, generate] = all;
        table.row([
            subject.model.to_owned(),
            subject.device.to_owned(),
            subject.threads.to_owned(),
            metric(warm, "phase_s"),
            metric(cold, "phase_s"),
            rate(prefill_128),
            rate(prefill_512),
            rate(generate),
            share(generate),
            n.to_string(),
        ]);
    }
    table
}

/// The entry of a model on a device.
fn entry(body: &mut String, results: &Results<'_>, subject: Subject<'_>) {
    let Subject { model, device, threads } = subject;
    let of = |phase| subject.find(results, phase);
    let [warm, cold, prefill, generate] = ["load-warm", "load-cold", "prefill-512", "generate-64"].map(of);
    let Some(any) = [generate, prefill, warm, cold].into_iter().flatten().next() else { return };
    let ran = |result: Option<&CellResult<'_>>, key| result.and_then(|result| result.ran(key));
    let said = |key| ran(Some(any), key).unwrap_or_else(|| "-".to_owned());
    let quality = |key| ran(generate, key).unwrap_or_else(|| "-".to_owned());
    let place = match device {
        "cpu" => format!("{}, {}, threads: {threads}", results.made.processor, said("isa")),
        _ => said("device"),
    };
    let mut table = Table::new([("Metric", Align::Left), ("Value", Align::Left)]);
    for (name, value) in [
        ("Model", said("file")),
        ("Version", "V7".to_owned()),
        ("Layers", said("layers")),
        ("Embedding", said("embedding")),
        ("Device", place),
        ("**Load Time**, warm", metric(warm, "phase_s")),
        ("**Load Time**, cold", metric(cold, "phase_s")),
        ("**Prefill**, 512 tokens", rate(prefill)),
        ("**Generation**", rate(generate)),
        ("Of the ceiling", share(generate)),
        ("Peak RSS", metric(generate, PEAK_RSS)),
        ("Quality Hash", format!("`{}`", quality("quality_hash"))),
        ("Tokens folded", format!("`{}`", quality("quality_folded"))),
        ("Tail of the tokens", quality("tail")),
        ("Logits", format!("KL {} nats, top-1 {}, against {}", said("kl_divergence"), said("top_1"), said("golden"))),
        ("Tasks", quality("tasks")),
    ] {
        table.row([name.to_owned(), value]);
    }
    let tokens = quality("quality_tokens");
    let _ = write!(
        body,
        "## {model}, {device}, threads: {threads}\n\n{table}\n\
         <details><summary>Quality tokens (first 16)</summary>\n\n```\n\
         {tokens}\n```\n\n</details>\n\n"
    );
}

fn stages(results: &Results<'_>) -> Table {
    let columns = ["open_s", "model_s", "vocabulary_s", "first_logits_s"].map(|name| (name, Align::Right));
    let mut table = Table::new([("cell", Align::Left)].into_iter().chain(columns));
    let is_load = |result: &&CellResult<'_>| result.cell.get("phase").is_some_and(|phase| phase.starts_with("load"));
    for result in results.cells().iter().filter(is_load).filter(|result| !result.records.is_empty()) {
        let each = columns.map(|(name, _)| metric(Some(result), name));
        table.row([result.cell.to_string()].into_iter().chain(each));
    }
    table
}
