//! The request loop of an implementation's process.

use std::io::{self, BufRead, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use op::{Params, Regime};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Case, Comparable, Implementation, Refusal, write};

/// Shortest batch of iterations between two clock reads: reading the clock must not add to the time.
const BATCH: Duration = Duration::from_micros(50);

/// Answers requests from stdin on stdout until stdin ends.
///
/// # Errors
/// A request that is not JSON, or a pipe that fails.
pub fn serve(implementation: &mut dyn Implementation) -> io::Result<()> {
    serve_on(implementation, &mut io::stdin().lock(), &mut io::stdout().lock())
}

/// The number after `--threads` on the command line; 1 without it.
pub fn threads_argument() -> NonZeroUsize {
    let mut words = std::env::args().skip_while(|word| word != "--threads").skip(1);
    words.next().and_then(|number| number.parse().ok()).unwrap_or(NonZeroUsize::MIN)
}

fn serve_on(
    implementation: &mut dyn Implementation,
    input: &mut dyn BufRead,
    output: &mut dyn Write,
) -> io::Result<()> {
    while let Some(request) = next(input)? {
        let answer = match request["do"].as_str() {
            Some("describe") => match implementation.describe() {
                Ok(about) => json!({ "name": about.name, "version": about.version, "settings": about.settings }),
                Err(why) => json!({ "unavailable": why }),
            },
            Some("cases") => match implementation.cases() {
                Ok(cases) => json!({ "ok": { "cases": cases } }),
                Err(refusal) => refused(&refusal),
            },
            Some("inputs") => {
                let dir = Path::new(text(&request, "dir"));
                match case(&request).and_then(|case| implementation.inputs(&case, dir)) {
                    Ok(()) => json!({ "ok": {} }),
                    Err(refusal) => refused(&refusal),
                }
            }
            Some("load") => {
                let inputs = Path::new(text(&request, "inputs"));
                match case(&request).and_then(|case| implementation.load(&case, inputs)) {
                    Ok(mut loaded) => serve_loaded(&mut *loaded, Path::new(text(&request, "output")), input, output)?,
                    Err(refusal) => answer(output, &refused(&refusal))?,
                }
                continue;
            }
            _ => unexpected(&request),
        };
        self::answer(output, &answer)?;
    }
    Ok(())
}

/// Runs the case once, writes its result, then answers requests until the case is unloaded.
fn serve_loaded(
    loaded: &mut dyn Comparable,
    result: &Path,
    input: &mut dyn BufRead,
    output: &mut dyn Write,
) -> io::Result<()> {
    loaded.run();
    if let Err(error) = write(result, &loaded.output()) {
        return answer(output, &json!({ "error": error.to_string() }));
    }
    let ran = loaded.ran();
    // 0 stands for work that has none.
    let counted = |n: u64| (n > 0).then_some(n);
    let about = json!({ "ran": ran.to_string(), "flops": counted(ran.flops), "bytes": counted(ran.bytes) });
    answer(output, &json!({ "ok": about }))?;
    while let Some(request) = next(input)? {
        match request["do"].as_str() {
            Some("time") => {
                let (iterations, elapsed) = time(loaded, request["seconds"].as_f64().unwrap_or(0.0));
                let times = json!({ "iterations": iterations, "elapsed_s": elapsed.as_secs_f64() });
                answer(output, &json!({ "ok": times }))?;
            }
            Some("unload") => return answer(output, &json!({ "ok": {} })),
            _ => answer(output, &unexpected(&request))?,
        }
    }
    Ok(())
}

fn time(loaded: &mut dyn Comparable, seconds: f64) -> (u64, Duration) {
    let (mut iterations, mut elapsed, mut batch) = (0, Duration::ZERO, 1_u64);
    loop {
        let took = loaded.time(batch);
        iterations += batch;
        elapsed += took;
        if elapsed.as_secs_f64() >= seconds {
            return (iterations, elapsed);
        }
        if took < BATCH {
            batch *= 2;
        }
    }
}

fn next(input: &mut dyn BufRead) -> io::Result<Option<Value>> {
    let mut line = String::new();
    if input.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    serde_json::from_str(&line).map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn answer(output: &mut dyn Write, answer: &Value) -> io::Result<()> {
    writeln!(output, "{answer}")?;
    output.flush()
}

fn case(request: &Value) -> Result<Case, Refusal> {
    let id = text(request, "case").to_owned();
    let regime = match &request["regime"] {
        Value::Null => Regime::Resident,
        word => match Regime::deserialize(word) {
            Ok(regime) => regime,
            Err(error) => return Err(Refusal::Error(format!("case {id}: {error}"))),
        },
    };
    match Params::deserialize(&request["params"]) {
        Ok(params) => Ok(Case { id, params, regime }),
        Err(error) => Err(Refusal::Error(format!("case {id}: its parameters are no names with values: {error}"))),
    }
}

fn text<'a>(request: &'a Value, key: &str) -> &'a str {
    request[key].as_str().unwrap_or_default()
}

fn refused(refusal: &Refusal) -> Value {
    match refusal {
        Refusal::Unsupported(why) => json!({ "unsupported": why }),
        Refusal::Error(why) => json!({ "error": why }),
    }
}

fn unexpected(request: &Value) -> Value {
    json!({ "error": format!("this request is unknown, or no case is loaded: {request}") })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use op::{CaseRow, Ran};

    use super::*;
    use crate::{Closures, Description, Load};

    /// Doubles a number in each run.
    struct Doubling(u64);

    impl Implementation for Doubling {
        fn describe(&mut self) -> Result<Description, String> {
            Ok(Description::new("doubling", "1", "one thread"))
        }

        fn cases(&mut self) -> Result<Vec<CaseRow>, Refusal> {
            let params = Params::new().with("start", 21_usize);
            Ok(vec![CaseRow { name: "c".to_owned(), params, tier: 1, regime: Regime::Resident, threads: vec![1] }])
        }

        fn load(&mut self, case: &Case, _: &Path) -> Load<'_> {
            self.0 = case.number("start")? as u64;
            let value = std::cell::Cell::from_mut(&mut self.0);
            let ran = Ran { bytes: 8, ..Ran::new("doubling", case.regime.name()) };
            let run = || value.set(value.get().wrapping_mul(2));
            Ok(Closures::boxed(ran, run, || value.get().to_le_bytes().to_vec()))
        }
    }

    fn talk(requests: &[Value]) -> Vec<Value> {
        let input: String = requests.iter().map(|request| format!("{request}\n")).collect();
        let mut output = Vec::new();
        serve_on(&mut Doubling(0), &mut input.as_bytes(), &mut output).unwrap();
        String::from_utf8(output).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn result_file(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("peer-{name}-{}", std::process::id()))
    }

    #[test]
    fn a_case_is_loaded_timed_and_unloaded() {
        let file = result_file("run");
        let load = json!({"do": "load", "case": "c", "params": {"start": 21}, "inputs": "", "output": file});
        let mut streamed = load.clone();
        streamed["regime"] = "streamed".into();
        let requests = [
            json!({"do": "describe"}),
            json!({"do": "cases"}),
            json!({"do": "time", "seconds": 0.0}),
            load.clone(),
            json!({"do": "time", "seconds": 1e-4}),
            json!({"do": "unload"}),
            load,
            json!({"do": "unload"}),
            streamed,
        ];
        let mut answers = talk(&requests);
        assert_eq!(answers.len(), 9);
        assert_eq!(answers[0]["name"], "doubling");
        assert_eq!(
            answers.remove(1)["ok"]["cases"],
            json!([{"name": "c", "params": {"start": 21}, "tier": 1, "regime": "resident", "threads": [1]}])
        );
        assert!(answers[1]["error"].is_string(), "nothing is loaded yet");
        assert_eq!(answers[2]["ok"], json!({"ran": "doubling, resident", "flops": null, "bytes": 8}));
        assert!(answers[3]["ok"]["iterations"].as_u64().unwrap() >= 1);
        assert!(answers[3]["ok"]["elapsed_s"].as_f64().unwrap() >= 1e-4);
        assert_eq!(answers[4], json!({"ok": {}}));
        assert_eq!(answers[7]["ok"]["ran"], "doubling, streamed");
        assert_eq!(std::fs::read(&file).unwrap(), 42_u64.to_le_bytes());
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    fn a_refusal_is_an_answer_and_the_loop_continues() {
        let file = result_file("refusal");
        let answers = talk(&[
            json!({"do": "load", "case": "c", "params": {"start": "x"}, "inputs": "", "output": file}),
            json!({"do": "inputs", "case": "c", "params": {}, "dir": ""}),
            json!({"do": "load", "case": "c", "params": [], "inputs": "", "output": file}),
            json!({"do": "load", "case": "c", "params": {"start": 1}, "inputs": "", "output": "/nowhere/at/all"}),
            json!({"do": "load", "case": "c", "params": {"start": 1}, "regime": "hot", "inputs": "", "output": file}),
            json!({"do": "describe"}),
        ]);
        assert!(answers[4]["error"].as_str().unwrap().contains("hot"));
        assert_eq!(answers[0]["error"], "case c: parameter `start` is x: a whole number is wanted");
        assert!(answers[1]["unsupported"].is_string());
        assert!(answers[2]["error"].as_str().unwrap().contains("no names with values"));
        assert!(answers[3]["error"].as_str().unwrap().contains("/nowhere/at/all"));
        assert_eq!(answers[5]["version"], "1");
    }
}
