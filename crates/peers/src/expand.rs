//! Expands a case over several values of its parameters: `id = "{type}-v{version}"` with
//! `over = { type = […], version = […] }` stands for one case of each combination.

use anyhow::{Result, bail, ensure};
use serde_json::Value;

use crate::suite::Case;

/// All cases that `cases` stand for, in order; the last parameter by name varies fastest.
pub(crate) fn expand(cases: Vec<Case>) -> Result<Vec<Case>> {
    let mut expanded = Vec::new();
    for mut case in cases {
        let over = std::mem::take(&mut case.over);
        let mut of_case = vec![case];
        for (name, values) in over {
            let template = &of_case[0];
            ensure!(template.id.contains(&format!("{{{name}}}")), "{}: `over` has {name}, its id has not", template.id);
            ensure!(!template.params.contains_key(&name), "{}: {name} is in `params` and in `over`", template.id);
            ensure!(!values.is_empty(), "{}: `over` has no value for {name}", template.id);
            let mut with_values = Vec::with_capacity(of_case.len() * values.len());
            for case in &of_case {
                for value in &values {
                    with_values.push(with(case, &name, value)?);
                }
            }
            of_case = with_values;
        }
        expanded.extend(of_case);
    }
    Ok(expanded)
}

fn with(case: &Case, name: &str, value: &Value) -> Result<Case> {
    let shown = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if !number.is_f64() => number.to_string(),
        other => bail!("{}: the value {other} of {name} is neither a string nor a whole number", case.id),
    };
    let mut case = case.clone();
    case.id = case.id.replace(&format!("{{{name}}}"), &shown);
    case.params.insert(name.to_owned(), value.clone());
    Ok(case)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases(text: &str) -> Result<Vec<Case>> {
        let case: Case = toml::from_str(text).unwrap();
        expand(vec![case])
    }

    #[test]
    fn every_combination_is_a_case() {
        let cases = cases("id = '{b}/{a}'\nparams = { n = 5 }\nover = { b = ['x', 'y'], a = [1, 2] }").unwrap();
        let ids: Vec<&str> = cases.iter().map(|case| case.id.as_str()).collect();
        assert_eq!(ids, ["x/1", "y/1", "x/2", "y/2"]);
        let last = &cases[3].params;
        let member = |name: &str| last[name].clone();
        assert_eq!((member("n"), member("a"), member("b")), (5.into(), 2.into(), "y".into()));
    }

    #[test]
    fn a_case_without_it_is_itself() {
        assert_eq!(cases("id = '{a}'\nparams = {}").unwrap()[0].id, "{a}");
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for (text, word) in [
            ("id = 'x'\nparams = {}\nover = { a = [1] }", "its id has not"),
            ("id = '{a}'\nparams = { a = 1 }\nover = { a = [1] }", "in `params` and in `over`"),
            ("id = '{a}'\nparams = {}\nover = { a = [] }", "no value for a"),
            ("id = '{a}'\nparams = {}\nover = { a = [0.5] }", "neither a string"),
        ] {
            let error = cases(text).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
