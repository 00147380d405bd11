//! The part of YAML that workflows need, read strictly: what is not in it is a fault, so that nothing means something
//! else to GitHub than to the rules.
//!
//! In it: maps and lists in block form, lists of words in `[…]`, plain and quoted words on one line, texts after `|` and
//! `>`, comments. Not in it: tabs, anchors, aliases, tags, several documents, plain words over several lines, `{…}`.

/// A value with the line where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// A word, a text, or nothing.
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; keys are unique.
    Map(Vec<(String, Node)>),
}

/// Why a text is not in the subset.
#[derive(Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) line: usize,
    pub(super) message: String,
}

impl Node {
    /// The value of a map at `key`.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// The entries of a map; none if it is something else.
    pub(super) fn entries(&self) -> &[(String, Node)] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    /// The items of a list; none if it is something else.
    pub(super) fn items(&self) -> &[Node] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    /// A text, empty if it is something else.
    pub(super) fn text(&self) -> &str {
        if let Value::Text(text) = &self.value { text } else { "" }
    }
}

/// Reads a document.
pub(super) fn parse(text: &str) -> Result<Node, Fault> {
    let mut reader = Reader { lines: text.lines().map(str::to_owned).collect(), at: 0 };
    let Some((indent, _)) = reader.peek()? else { return reader.fault("there is nothing in it") };
    let node = reader.block(indent)?;
    match reader.peek()? {
        Some(_) => reader.fault("this line is indented like nothing above it"),
        None => Ok(node),
    }
}

struct Reader {
    lines: Vec<String>,
    at: usize,
}

impl Reader {
    fn fault<T>(&self, message: &str) -> Result<T, Fault> {
        Err(Fault { line: self.at + 1, message: message.to_owned() })
    }

    /// Goes to the next line that is not blank and not a comment; its indentation and content.
    fn peek(&mut self) -> Result<Option<(usize, String)>, Fault> {
        while let Some(line) = self.lines.get(self.at) {
            let content = without_comment(line.trim_start_matches(' ')).trim_end();
            if content.contains('\t') {
                return self.fault("a tab: YAML indents with spaces");
            }
            if content == "---" || content == "..." {
                return self.fault("one document per file");
            }
            if !content.is_empty() {
                return Ok(Some((line.len() - line.trim_start_matches(' ').len(), content.to_owned())));
            }
            self.at += 1;
        }
        Ok(None)
    }

    /// The map or list whose entries stand at `indent`.
    fn block(&mut self, indent: usize) -> Result<Node, Fault> {
        let line = self.at + 1;
        let mut items = Vec::new();
        let mut entries: Vec<(String, Node)> = Vec::new();
        while let Some((_, content)) = self.peek()?.filter(|(found, _)| *found == indent) {
            if content == "-" || content.starts_with("- ") {
                if !entries.is_empty() {
                    break;
                }
                items.push(self.item(indent, content[1..].trim_start())?);
                continue;
            }
            if !items.is_empty() {
                break;
            }
            let Some((key, rest)) = entry(&content) else { return self.fault("neither `key: value` nor `- item`") };
            if entries.iter().any(|(known, _)| *known == key) {
                return self.fault(&format!("`{key}` stands twice"));
            }
            let value = self.value(indent, rest)?;
            entries.push((key, value));
        }
        match self.peek()? {
            Some((deeper, _)) if deeper > indent => {
                self.fault("this line is indented more than the ones it belongs to")
            }
            _ => Ok(Node { line, value: if items.is_empty() { Value::Map(entries) } else { Value::List(items) } }),
        }
    }

    /// What follows a dash at `indent`.
    fn item(&mut self, indent: usize, rest: &str) -> Result<Node, Fault> {
        if entry(rest).is_none() {
            return self.value(indent, rest);
        }
        // A map whose first entry stands behind the dash.
        let inner = self.lines[self.at].find(rest).unwrap_or(indent + 2);
        self.lines[self.at].replace_range(..inner, &" ".repeat(inner));
        self.block(inner)
    }

    /// What follows a colon or dash in the current line; moves behind it.
    fn value(&mut self, indent: usize, rest: &str) -> Result<Node, Fault> {
        let line = self.at + 1;
        if let Some(style) = rest.strip_prefix(['|', '>']) {
            if !matches!(style, "" | "-" | "+") {
                return self.fault("a text begins with `|`, `>`, or one of them and `-` or `+`");
            }
            self.at += 1;
            return Ok(Node { line: line + 1, value: Value::Text(self.text(indent)) });
        }
        if let Some(inside) = rest.strip_prefix('[') {
            let Some(inside) = inside.strip_suffix(']') else {
                return self.fault("a list in `[…]` ends in its line");
            };
            let words = inside.split(',').map(str::trim).filter(|word| !word.is_empty());
            let words: Result<Vec<Node>, Fault> =
                words.map(|word| Ok(Node { line, value: Value::Text(self.word(word)?) })).collect();
            self.at += 1;
            return Ok(Node { line, value: Value::List(words?) });
        }
        if rest.is_empty() {
            self.at += 1;
            let below = self.peek()?;
            let is_list = |content: &str| content == "-" || content.starts_with("- ");
            return match below {
                Some((deeper, content)) if deeper > indent || (deeper == indent && is_list(&content)) => {
                    self.block(deeper)
                }
                _ => Ok(Node { line, value: Value::Text(String::new()) }),
            };
        }
        let word = self.word(rest)?;
        self.at += 1;
        Ok(Node { line, value: Value::Text(word) })
    }

    /// The lines of a text, without their common indentation.
    fn text(&mut self, indent: usize) -> String {
        let is_inside =
            |line: &&String| line.trim().is_empty() || line.len() - line.trim_start_matches(' ').len() > indent;
        let inside: Vec<String> = self.lines[self.at..].iter().take_while(is_inside).cloned().collect();
        self.at += inside.len();
        let depth = |line: &String| line.len() - line.trim_start_matches(' ').len();
        let common = inside.iter().filter(|line| !line.trim().is_empty()).map(depth).min().unwrap_or(0);
        let lines: Vec<&str> = inside.iter().map(|line| line.get(common..).unwrap_or_default()).collect();
        format!("{}\n", lines.join("\n").trim_end())
    }

    fn word(&self, text: &str) -> Result<String, Fault> {
        for quote in ['"', '\''] {
            if let Some(inside) = text.strip_prefix(quote) {
                return match inside.strip_suffix(quote) {
                    Some(inside) if !inside.contains(quote) && !inside.contains('\\') => Ok(inside.to_owned()),
                    _ => self.fault("a quoted word ends in its line and has neither quotes nor backslashes inside"),
                };
            }
        }
        if text.starts_with(['&', '*', '!', '%', '@', '`', '{', '}', ']', ',', '#'])
            || text.contains(": ")
            || text.ends_with(':')
        {
            return self.fault("this means something special in YAML: put it in quotes");
        }
        Ok(text.to_owned())
    }
}

/// `key` and what follows its colon.
fn entry(content: &str) -> Option<(String, &str)> {
    let (key, rest) = content.split_once(':')?;
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    (is_key && (rest.is_empty() || rest.starts_with(' '))).then(|| (key.to_owned(), rest.trim_start()))
}

/// A line without its comment: a `#` at its beginning or behind a space, outside quotes.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'') && matches!(before, ' ' | '[' | ',') => quote = Some(c),
            None if c == '#' && before == ' ' => return &line[..at],
            None => {}
        }
        before = c;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_lists_words_and_texts() {
        let text = "# c\nname: CI # x\non:\n  push:\n  pull_request:\n    types: [opened, 'a b']\nsteps:\n- uses: a/b@v1\n  with:\n    n: 0\n- run: |\n    echo \"a: b\" # kept\n\n      deeper\n  if: ${{ x }}\n- word\n";
        let node = parse(text).unwrap();
        assert_eq!(node.get("name").unwrap().text(), "CI");
        let on = node.get("on").unwrap();
        assert_eq!(on.get("push").unwrap().text(), "");
        let types = on.get("pull_request").unwrap().get("types").unwrap();
        assert_eq!(types.items().iter().map(Node::text).collect::<Vec<_>>(), ["opened", "a b"]);
        let steps = node.get("steps").unwrap().items();
        assert_eq!((steps.len(), steps[0].line, steps[1].line), (3, 8, 11));
        assert_eq!(steps[0].get("with").unwrap().get("n").unwrap().text(), "0");
        assert_eq!(steps[1].get("run").unwrap().text(), "echo \"a: b\" # kept\n\n  deeper\n");
        assert_eq!(steps[1].get("if").unwrap().text(), "${{ x }}");
        assert_eq!(steps[2].text(), "word");
    }

    #[test]
    fn what_is_outside_the_subset_is_a_fault_with_its_line() {
        for (text, line) in [
            ("", 1),
            ("a: 1\n\tb: 2\n", 2),
            ("a: &x 1\n", 1),
            ("a: *x\n", 1),
            ("a: {b: c}\n", 1),
            ("a: b: c\n", 1),
            ("a: \"b\n", 1),
            ("a: 1\na: 2\n", 2),
            ("a:\n  b: 1\n c: 2\n", 3),
            ("a: 1\n  b: 2\n", 2),
            ("a: [b,\n  c]\n", 1),
            ("a: 1\n---\nb: 2\n", 2),
            ("a: 1\njust words\n", 2),
            ("a: |2\n  x\n", 1),
        ] {
            assert_eq!(parse(text).unwrap_err().line, line, "{text:?}");
        }
    }
}
