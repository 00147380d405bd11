//! The grammar of a matrix: what it means, and what is refused.

use std::time::Duration;

use scenario::{Cell, Level, Matrix, MatrixError, SelectError, Setting};

const TEXT: &str = r#"
title = "A sweep"
primary = "forward_s"
runs = 3
limit_s = 60

[[axis]]
name = "variant"
values = ["full", "optimized"]

[[axis]]
name = "frames"
values = [2, 4, 64]

[[axis]]
name = "image_px"
values = [112, 518]

[smoke]
frames = 2
image_px = 112

[[default]]
frames = [2, 4]
image_px = 112

[[default]]
frames = [4]

[full]

[[rule]]
when = { frames = 64, image_px = 112 }
exclude = "long sequences are measured at 518 px only"

[[rule]]
when = { frames = [4, 64] }
limit_s = 600

[[rule]]
when = { frames = 64, variant = "optimized" }
limit_s = 0.5
program = "other"

[[program]]
name = "other"
dir = "peers/other"
command = ["./run", "--quiet"]
"#;

fn matrix() -> Matrix {
    Matrix::parse(TEXT).unwrap()
}

fn cells(cells: &[Cell]) -> Vec<String> {
    cells.iter().map(Cell::to_string).collect()
}

fn cell(text: &str) -> Cell {
    text.parse().unwrap()
}

#[test]
fn levels_are_products_and_unions_of_products_without_excluded_cells() {
    let matrix = matrix();
    assert_eq!(
        cells(matrix.level(Level::Smoke)),
        ["variant=full,frames=2,image_px=112", "variant=optimized,frames=2,image_px=112"]
    );
    let default = cells(matrix.level(Level::Default));
    assert_eq!(default.len(), 6, "the second table repeats two cells of the first: {default:?}");
    assert_eq!(default[4], "variant=full,frames=4,image_px=518");
    let full = cells(matrix.level(Level::Full));
    assert_eq!(full.len(), 2 * 3 * 2 - 2);
    assert!(!full.contains(&"variant=full,frames=64,image_px=112".to_owned()));
    let without =
        TEXT.replace("[[default]]\nframes = [2, 4]\nimage_px = 112\n", "").replace("[[default]]\nframes = [4]\n", "");
    let without = Matrix::parse(&without).unwrap();
    assert_eq!(without.level(Level::Default), without.level(Level::Full));
}

#[test]
fn the_last_rule_that_matches_holds() {
    let matrix = matrix();
    let limit = |text: &str| matrix.limit(&cell(text));
    assert_eq!(limit("variant=full,frames=2,image_px=112"), Duration::from_secs(60));
    assert_eq!(limit("variant=full,frames=64,image_px=518"), Duration::from_secs(600));
    assert_eq!(limit("variant=optimized,frames=64,image_px=518"), Duration::from_millis(500));
    assert!(matrix.program(&cell("variant=full,frames=64,image_px=518")).is_none());
    let program = matrix.program(&cell("variant=optimized,frames=64,image_px=518")).unwrap();
    assert_eq!((program.dir.as_str(), program.command.len()), ("peers/other", 2));
    assert_eq!((matrix.primary.as_str(), matrix.runs), ("forward_s", 3));
}

#[test]
fn settings_leave_a_part_and_say_where_the_rest_is() {
    let matrix = matrix();
    let select = |level, settings: &[&str]| {
        let settings: Vec<Setting> = settings.iter().map(|text| text.parse().unwrap()).collect();
        matrix.select(level, &settings)
    };
    assert_eq!(select(Level::Full, &["frames=2,4", "variant=full"]).unwrap().len(), 4);
    assert_eq!(select(Level::Full, &["frames=2", "frames=4", "variant=full"]).unwrap().len(), 4);
    let error = select(Level::Default, &["frames=64"]).unwrap_err();
    assert_eq!(error.to_string(), "no cell of [default] matches; 2 of [full] do");
    assert!(matches!(select(Level::Full, &["size=1"]), Err(SelectError::Axis { .. })));
    let error = select(Level::Full, &["frames=3"]).unwrap_err();
    assert_eq!(error.to_string(), "`frames` is never `3`; it is 2, 4, 64");
    for text in ["frames", "=1", "frames=", "frames=1,,2", "frames=a b", "Frames=1"] {
        assert!(text.parse::<Setting>().is_err(), "{text}");
    }
}

#[test]
fn a_path_stands_in_place_of_the_values_of_its_axis() {
    let text = "title = 't'\nprimary = 'load_s'\nruns = 1\nlimit_s = 1\n[[axis]]\nname = 'model'\n\
        values = ['small', 'large', 'own']\n[[axis]]\nname = 'threads'\nvalues = [1, 2]\n\
        [smoke]\nmodel = 'small'\nthreads = 1\n[default]\nmodel = ['small', 'large']\n[full]\n";
    let matrix = Matrix::parse(text).unwrap();
    let setting: Setting = "model=./some/model.gguf".parse().unwrap();
    assert!(setting.path.as_ref().unwrap().is_absolute());
    let of = |level| -> Vec<String> {
        let cells = matrix.select(level, std::slice::from_ref(&setting)).unwrap();
        cells.iter().map(Cell::to_string).collect()
    };
    assert_eq!(of(Level::Smoke), ["model=own,threads=1"]);
    assert_eq!(of(Level::Default), ["model=own,threads=1", "model=own,threads=2"]);
    let other: Setting = "threads=./2".parse().unwrap();
    let error = matrix.select(Level::Full, &[other]).unwrap_err();
    assert!(error.to_string().contains("`threads` is never `own`"), "{error}");
}

#[test]
fn cells_are_found_in_any_order_of_their_parts() {
    let matrix = matrix();
    let found = matrix.find("frames=2,image_px=112,variant=full").unwrap();
    assert_eq!(found.to_string(), "variant=full,frames=2,image_px=112");
    for text in [
        "variant=full,frames=2",
        "variant=full,frames=2,image_px=112,extra=1",
        "variant=full,frames=3,image_px=112",
        "variant=full,frames=64,image_px=112",
    ] {
        assert!(matches!(matrix.find(text), Err(SelectError::Unknown { .. })), "{text}");
    }
    assert!(matches!(matrix.find("nonsense"), Err(SelectError::Cell(_))));
}

/// The error of the text with one part replaced.
fn error(part: &str, by: &str) -> MatrixError {
    assert!(TEXT.contains(part), "{part}");
    Matrix::parse(&TEXT.replacen(part, by, 1)).unwrap_err()
}

#[test]
fn what_is_not_toml_or_not_known_is_refused() {
    for (part, by) in [
        ("runs = 3", "runs = 3\nruns = 3"),
        ("runs = 3", "repeat = 3"),
        ("runs = 3", "runs = -1"),
        ("runs = 3", "runs = \"3\""),
        ("title = \"A sweep\"", ""),
        ("[full]", ""),
        ("[full]", "full = 7"),
        ("[full]", "full = [7]"),
        ("name = \"frames\"", "name = \"frames\"\nunit = \"x\""),
        ("command = [\"./run\", \"--quiet\"]", "command = \"./run\""),
        ("[smoke]", "[smoke"),
    ] {
        assert!(matches!(error(part, by), MatrixError::Toml { .. }), "{by}: {:?}", error(part, by));
    }
    assert!(matches!(Matrix::parse(""), Err(MatrixError::Toml { .. })));
}

#[test]
fn names_values_and_numbers_are_checked() {
    assert!(matches!(error("forward_s", "Forward"), MatrixError::Cell { .. }));
    assert!(matches!(error("name = \"frames\"", "name = \"fra mes\""), MatrixError::Cell { .. }));
    for value in ["\"a b\"", "\"\"", "\"../x\"", "\"ä\"", "-1234567890123456789, \"a,b\""] {
        assert!(
            matches!(error("values = [2,", &format!("values = [{value}, 2,")), MatrixError::Cell { .. }),
            "{value}"
        );
    }
    for value in ["2.5", "true", "[1]", "{a = 1}"] {
        assert!(
            matches!(error("values = [2,", &format!("values = [{value}, 2,")), MatrixError::Type { .. }),
            "{value}"
        );
    }
    for runs in ["0", "1001"] {
        assert!(
            matches!(error("runs = 3", &format!("runs = {runs}")), MatrixError::Range { key: "runs", .. }),
            "{runs}"
        );
    }
    for limit in ["0", "-1", "nan", "inf", "1e9"] {
        let by = format!("limit_s = {limit}\n\n[[axis]]");
        assert!(matches!(error("limit_s = 60\n\n[[axis]]", &by), MatrixError::Range { key: "limit_s", .. }), "{limit}");
    }
    assert!(matches!(error("limit_s = 0.5", "limit_s = 0"), MatrixError::Range { .. }));
}

#[test]
fn duplicates_gaps_and_typing_errors_are_refused() {
    assert!(matches!(error("name = \"frames\"", "name = \"variant\""), MatrixError::Twice { .. }));
    assert!(matches!(error("[2, 4, 64]", "[2, 4, 64, \"4\"]"), MatrixError::Twice { .. }));
    assert!(matches!(error("[2, 4, 64]", "[]"), MatrixError::Empty { .. }));
    assert!(matches!(error("frames = [2, 4]", "frames = []"), MatrixError::Empty { .. }));
    assert!(matches!(error("[smoke]\nframes", "[smoke]\nframe"), MatrixError::Axis { .. }));
    assert!(matches!(error("frames = [2, 4]", "frames = [2, 5]"), MatrixError::Undeclared { .. }));
    assert!(matches!(error("when = { frames = [4, 64] }", "when = { size = 4 }"), MatrixError::Axis { .. }));
    assert!(matches!(error("when = { frames = [4, 64] }", "when = { frames = 5 }"), MatrixError::Undeclared { .. }));
    assert!(matches!(error("when = { frames = [4, 64] }", "when = {}"), MatrixError::Empty { .. }));
}

#[test]
fn rules_and_programs_must_do_something() {
    assert_eq!(error("limit_s = 600", ""), MatrixError::Says { rule: 2 });
    assert_eq!(error("limit_s = 600", "limit_s = 600\nexclude = \"why\""), MatrixError::Says { rule: 2 });
    assert!(matches!(
        error("exclude = \"long sequences are measured at 518 px only\"", "exclude = \" \""),
        MatrixError::Empty { .. }
    ));
    let rule = "[[rule]]\nwhen = { frames = 64, image_px = 112 }";
    let dead = TEXT.replace("[full]", "[full]\nframes = [2, 4]");
    assert_eq!(Matrix::parse(&dead).unwrap_err(), MatrixError::Dead { rule: 1 });
    let nothing = TEXT.replace(rule, "[[rule]]\nwhen = { image_px = 112 }");
    assert_eq!(Matrix::parse(&nothing).unwrap_err(), MatrixError::Empty { place: "[smoke]".into() });
    assert!(matches!(error("program = \"other\"", "program = \"another\""), MatrixError::Program { .. }));
    assert!(matches!(error("program = \"other\"", ""), MatrixError::Program { .. }));
    assert!(matches!(error("[\"./run\", \"--quiet\"]", "[]"), MatrixError::Program { .. }));
    for dir in ["", "/tmp", "../x", "peers/../.."] {
        assert!(matches!(error("peers/other", dir), MatrixError::Program { .. }), "{dir}");
    }
}

#[test]
fn huge_products_are_refused_before_they_are_made() {
    let values: Vec<String> = (0..64).map(|value| value.to_string()).collect();
    let axes: String =
        (0..20).map(|axis| format!("[[axis]]\nname = \"a{axis}\"\nvalues = [{}]\n", values.join(", "))).collect();
    let text = format!("title = \"t\"\nprimary = \"t_s\"\nruns = 1\nlimit_s = 1\n{axes}[smoke]\n[full]\n");
    assert!(matches!(Matrix::parse(&text), Err(MatrixError::Cells { cells, .. }) if cells == 64_u128.pow(20)));
    let small: String = (0..20).map(|axis| format!("a{axis} = 1\n")).collect();
    let text = text.replace("[smoke]", &format!("[smoke]\n{small}")).replace("[full]\n", &format!("[[full]]\n{small}"));
    assert_eq!(Matrix::parse(&text).unwrap().level(Level::Full).len(), 1);
}

#[test]
fn other_texts_have_other_hashes() {
    assert_ne!(matrix().hash, Matrix::parse(&TEXT.replace("runs = 3", "runs = 4")).unwrap().hash);
}

#[test]
fn promises_of_equal_output_name_one_cell_for_all() {
    let frames = "[[same]]\naxis = \"frames\"\nvalues = [2, 4]\n";
    let variants = "[[same]]\naxis = \"variant\"\nvalues = [\"full\", \"optimized\"]\n";
    let both = Matrix::parse(&format!("{TEXT}{frames}{variants}")).unwrap();
    let stand_in = |text: &str| both.same_output(&cell(text)).map(|cell| cell.to_string());
    assert_eq!(stand_in("variant=optimized,frames=4,image_px=112").unwrap(), "variant=full,frames=2,image_px=112");
    assert_eq!(stand_in("variant=full,frames=64,image_px=518").unwrap(), "variant=full,frames=64,image_px=518");
    let one = Matrix::parse(&format!("{TEXT}{frames}")).unwrap();
    assert_eq!(one.same_output(&cell("variant=full,frames=64,image_px=518")), None);
    assert_eq!(matrix().same_output(&cell("variant=full,frames=2,image_px=112")), None);

    let refused = |table: &str| Matrix::parse(&format!("{TEXT}[[same]]\n{table}\n")).unwrap_err();
    assert_eq!(refused("axis = \"frames\"\nvalues = [2]"), MatrixError::Alone { axis: "frames".into() });
    assert!(matches!(refused("axis = \"size\"\nvalues = [2, 4]"), MatrixError::Axis { .. }));
    assert!(matches!(refused("axis = \"frames\"\nvalues = [2, 5]"), MatrixError::Undeclared { .. }));
}
