//! Splits a Rust file line by line into code, with blanked literals, and comments.
//!
//! This is not a parser. It finds where strings, characters and comments begin and end, which braces match, and which
//! items are for tests only; the rules need no more.

/// A Rust file.
#[derive(Debug)]
pub(super) struct Source {
    /// In order; the first is line 1.
    pub(super) lines: Vec<Line>,
}

/// One line.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Code; the content of literals is blanked out.
    pub(super) code: String,
    /// The comment from its slashes to the end of the line; empty if there is none.
    pub(super) comment: String,
    /// Whether it belongs to an item under `#[cfg(test)]`.
    pub(super) is_test: bool,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function {
    /// Its name.
    pub(super) name: String,
    /// Line of its `fn`, from 1.
    pub(super) line: usize,
    /// Lines from there to its closing brace.
    pub(super) length: usize,
}

#[derive(Clone, Copy)]
enum State {
    Code,
    LineComment,
    BlockComment(usize),
    Text,
    RawText(usize),
}

impl Source {
    /// Splits `text`. Never fails: text that is not Rust gives lines that violate no rule.
    pub(super) fn parse(text: &str) -> Self {
        let mut lines = vec![Line::default()];
        let mut state = State::Code;
        let chars: Vec<char> = text.chars().collect();
        let mut at = 0;
        while at < chars.len() {
            if chars[at] == '\n' {
                lines.push(Line::default());
                if matches!(state, State::LineComment) {
                    state = State::Code;
                }
                at += 1;
                continue;
            }
            let Some(line) = lines.last_mut() else { break };
            at += line.take(&chars, at, &mut state);
        }
        let mut source = Self { lines };
        source.mark_tests();
        source
    }

    /// Lines with their numbers, from 1.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (usize, &Line)> {
        self.lines.iter().enumerate().map(|(at, line)| (at + 1, line))
    }

    /// Functions with a body, in order. A nested function counts by itself and as part of the outer one.
    pub(super) fn functions(&self) -> Vec<Function> {
        let mut found = Vec::new();
        for (number, line) in self.numbered() {
            let words: Vec<&str> = words(&line.code).collect();
            for pair in words.windows(2).filter(|pair| pair[0] == "fn") {
                let start = line.code.find(&format!("fn {}", pair[1])).unwrap_or(0);
                if let Some(end) = self.end_of_item(number, start) {
                    found.push(Function { name: pair[1].to_owned(), line: number, length: end - number + 1 });
                }
            }
        }
        found
    }

    /// Line of the brace that closes the item that begins in line `number` at byte `start`; `None` where a `;` ends it.
    fn end_of_item(&self, number: usize, start: usize) -> Option<usize> {
        let (mut braces, mut brackets) = (0_usize, 0_usize);
        for (at, line) in self.lines.iter().enumerate().skip(number - 1) {
            let from = if at == number - 1 { start } else { 0 };
            for c in line.code.get(from..).unwrap_or_default().chars() {
                match c {
                    '(' | '[' => brackets += 1,
                    ')' | ']' => brackets = brackets.saturating_sub(1),
                    ';' if braces == 0 && brackets == 0 => return None,
                    '{' => braces += 1,
                    '}' => {
                        braces = braces.saturating_sub(1);
                        if braces == 0 {
                            return Some(at + 1);
                        }
                    }
                    _ => {}
                }
            }
        }
        None
    }

    fn mark_tests(&mut self) {
        let attributes: Vec<(usize, usize)> = self
            .numbered()
            .filter_map(|(number, line)| Some((number, line.code.find("#[cfg(test)]")? + "#[cfg(test)]".len())))
            .collect();
        for (number, start) in attributes {
            let end = self.end_of_item(number, start).unwrap_or(number + 1);
            self.lines.iter_mut().take(end).skip(number - 1).for_each(|line| line.is_test = true);
        }
    }
}

impl Line {
    /// Consumes the token at `chars[at]`. Returns its number of characters.
    fn take(&mut self, chars: &[char], at: usize, state: &mut State) -> usize {
        let follows = |text: &str| text.chars().enumerate().all(|(i, c)| chars.get(at + i) == Some(&c));
        let c = chars[at];
        match *state {
            State::LineComment => self.comment.push(c),
            State::BlockComment(depth) => {
                if follows("*/") || follows("/*") {
                    *state = match (c, depth) {
                        ('/', _) => State::BlockComment(depth + 1),
                        (_, 1) => State::Code,
                        _ => State::BlockComment(depth - 1),
                    };
                    return 2;
                }
                self.comment.push(c);
            }
            State::Text if c == '\\' => return if chars.get(at + 1) == Some(&'\n') { 1 } else { 2 },
            State::Text if c == '"' => {
                self.code.push(c);
                *state = State::Code;
            }
            State::RawText(hashes) if c == '"' && follows(&format!("\"{}", "#".repeat(hashes))) => {
                self.code.push(c);
                *state = State::Code;
                return 1 + hashes;
            }
            State::Text | State::RawText(_) => {}
            State::Code if follows("//") => {
                *state = State::LineComment;
                self.comment.push_str("//");
                return 2;
            }
            State::Code if follows("/*") => {
                *state = State::BlockComment(1);
                self.comment.push_str("/*");
                return 2;
            }
            State::Code => return self.take_code(chars, at, state),
        }
        1
    }

    fn take_code(&mut self, chars: &[char], at: usize, state: &mut State) -> usize {
        let c = chars[at];
        let in_word = at > 0 && is_word(chars[at - 1]);
        if c == '"' {
            *state = State::Text;
        } else if c == 'r' && (!in_word || matches!(chars[at - 1], 'b' | 'c')) {
            let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
            if chars.get(at + 1 + hashes) == Some(&'"') {
                *state = State::RawText(hashes);
                self.code.push('"');
                return 2 + hashes;
            }
        } else if c == '\'' {
            // A character, unless it is a lifetime.
            let length = match (chars.get(at + 1), chars.get(at + 2)) {
                (Some('\\'), _) => chars[at + 3..].iter().position(|c| *c == '\'').map_or(1, |end| end + 4),
                (Some(_), Some('\'')) => 3,
                _ => 1,
            };
            self.code.push('\'');
            return length;
        }
        self.code.push(c);
        1
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The identifiers, keywords and numbers of a piece of code.
pub(super) fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c| !is_word(c)).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_blanked_and_comments_set_apart() {
        let text = "let a = \"fn x() { // no\"; // yes \"\nlet b = r#\"one \" two\n}\"#; /* c /* d */ e */ f('{', '\\'', 'x: &'a str)\n";
        let source = Source::parse(text);
        let lines: Vec<_> = source.lines.iter().map(|line| (line.code.as_str(), line.comment.as_str())).collect();
        assert_eq!(lines[0], ("let a = \"\"; ", "// yes \""));
        assert_eq!(lines[1], ("let b = \"", ""));
        assert_eq!(lines[2], ("\";  f(', ', 'x: &'a str)", "/* c  d  e "));
    }

    #[test]
    fn a_line_continuation_in_a_string_keeps_the_count_of_lines() {
        let source = Source::parse("let a = \"one \\\n two\";\nlet b;\n");
        assert_eq!(source.lines[2].code, "let b;");
    }

    #[test]
    fn functions_are_measured_to_their_closing_brace() {
        let source = Source::parse(
            "trait T { fn a(x: [u8; 2]) -> u8; }\nfn b() {\n  let c = '}';\n  if d {\n  }\n}\nfn e() {}\n",
        );
        let found: Vec<_> = source.functions().into_iter().map(|f| (f.name, f.line, f.length)).collect();
        assert_eq!(found, [("b".to_owned(), 2, 5), ("e".to_owned(), 7, 1)]);
    }

    #[test]
    fn test_items_are_marked() {
        let source = Source::parse(
            "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\nfn c() {}\n#[cfg(test)]\nuse x;\nfn d() {}\n",
        );
        let tests: Vec<_> = source.numbered().filter(|(_, line)| line.is_test).map(|(number, _)| number).collect();
        assert_eq!(tests, [2, 3, 4, 5, 7, 8]);
    }
}
