//! Pages of `docs/results/`: an index and one page for each op.

use anyhow::Result;
use record::{Align, Table};

use super::Measured;
use super::agreement::{Agreement, agreement_path};
use crate::report::{Report, explanation};
use crate::store;

/// Begins the line of the index that names the machine class.
const CLASS: &str = "Machine class: `";

/// The machine class that an index names.
pub(crate) fn class_of_index(index: &str) -> Option<&str> {
    index.lines().find_map(|line| line.strip_prefix(CLASS)?.split('`').next())
}

/// An op without a table on the class that is shown.
pub(crate) struct Absent {
    pub(crate) op: String,
    /// The class with its newest table, if there is one.
    pub(crate) elsewhere: Option<String>,
}

/// The index.
pub(crate) fn index(measured: &[Measured], absent: &[Absent], class: &str) -> String {
    let mut table = Table::new(["op", "what", "measured", "every row"].map(|name| (name, Align::Left)));
    for Measured { op, suite, rows } in measured {
        let all = store::table_path(class, op);
        let made = store::made(rows);
        let cells = [format!("[{op}]({op}.md)"), suite.title.clone(), made.to_owned(), format!("[table](../../{all})")];
        table.row(cells);
    }
    for Absent { op, elsewhere } in absent {
        let what = "not measured on this machine class".to_owned();
        let (measured, all) = match elsewhere {
            Some(other) => {
                (format!("class `{other}` alone"), format!("[table](../../{})", store::table_path(other, op)))
            }
            None => ("-".to_owned(), "-".to_owned()),
        };
        table.row([op.clone(), what, measured, all]);
    }
    format!(
        "# Results beside other people's programs\n\n{CLASS}{class}`. All numbers on these pages are from this class; \
         numbers of different classes are not compared. Ops that were measured elsewhere alone are linked.\n\n\
         ![Ratios to peers](peers.svg)\n\n{table}\nDrawn by `cargo xtask charts` from `baselines/` and `peers/`; \
         `cargo xtask tidy` fails if a file here differs from what they draw.\n"
    )
}

/// The page of an op with its charts, each a file and a title.
pub(crate) fn of_op(
    measured: &Measured,
    class: &str,
    charts: &[(String, &str)],
    agreement: Option<&Agreement>,
) -> Result<String> {
    let Measured { op, suite, rows } = measured;
    let made = store::made(rows);
    let mut text = format!(
        "# {}\n\nMade by `cargo xtask peers {op}`: {made}. Every row: [table](../../{}).\n\n{}\n",
        suite.title,
        store::table_path(class, op),
        explanation(rows)
    );
    for (file, title) in charts {
        text += &format!("![{title}]({file})\n\n");
    }
    text += &Report { suite, rows, op, class, made, is_part: false }.sections()?;
    if let Some(agreement) = agreement {
        text += &format!(
            "\n## Agreement with independent programs\n\nMade by `cargo xtask agree {op}`: {}. Numbers of comparisons; what was \
             compared and the reasons of listed differences: [counts](../../{}).\n\n{}",
            agreement.made,
            agreement_path(op),
            agreement.table()
        );
    }
    Ok(text)
}
