//! YAML as a tree with line numbers, read by `saphyr-parser`.
//!
//! Anchors, aliases, tags, several documents and duplicate keys are faults, so that GitHub and the rules read the same.

use saphyr_parser::{Event, Parser, Span};

/// A value and the line where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// A scalar; an absent value is empty.
    Text(String),
    List(Vec<Node>),
    /// In file order; keys are unique.
    Map(Vec<(String, Node)>),
}

/// Why a document is refused.
#[derive(Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) line: usize,
    pub(super) message: String,
}

impl Fault {
    fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line: line.max(1), message: message.into() }
    }
}

impl Node {
    /// The value of a map at `key`.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// The entries of a map; empty for another value.
    pub(super) fn entries(&self) -> &[(String, Node)] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    /// The items of a list; empty for another value.
    pub(super) fn items(&self) -> &[Node] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    /// A scalar; empty for another value.
    pub(super) fn text(&self) -> &str {
        if let Value::Text(text) = &self.value { text } else { "" }
    }
}

/// Parses a document.
pub(super) fn parse(text: &str) -> Result<Node, Fault> {
    let mut events = Events(Parser::new_from_str(text));
    let mut document = None;
    loop {
        match events.next()? {
            (Event::StreamEnd, _) => return document.ok_or_else(|| Fault::new(1, "there is nothing in it")),
            (Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing, _) => {}
            (_, span) if document.is_some() => return Err(Fault::new(span.start.line(), "one document per file")),
            (event, span) => document = Some(events.node(event, &span)?),
        }
    }
}

struct Events<'a>(Parser<'a, saphyr_parser::StrInput<'a>>);

impl<'a> Events<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Fault> {
        match self.0.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(Fault::new(error.marker().line(), error.info())),
            None => Err(Fault::new(1, "the text ends too early")),
        }
    }

    /// The node that begins with `event`.
    fn node(&mut self, event: Event<'a>, span: &Span) -> Result<Node, Fault> {
        let line = span.start.line();
        let special = match &event {
            Event::Alias(_) => true,
            Event::Scalar(_, _, anchor, tag) | Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) => {
                *anchor != 0 || tag.is_some()
            }
            _ => false,
        };
        if special {
            return Err(Fault::new(line, "anchors, aliases and tags are not used here"));
        }
        let value = match event {
            Event::Scalar(text, ..) => Value::Text(text.into_owned()),
            Event::SequenceStart(..) => self.list()?,
            Event::MappingStart(..) => self.map()?,
            _ => return Err(Fault::new(line, "neither a scalar nor a list nor a map")),
        };
        Ok(Node { line, value })
    }

    fn list(&mut self) -> Result<Value, Fault> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, span) => items.push(self.node(event, &span)?),
            }
        }
    }

    fn map(&mut self) -> Result<Value, Fault> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Value::Map(entries));
            }
            let line = span.start.line();
            let Value::Text(key) = self.node(event, &span)?.value else {
                return Err(Fault::new(line, "a key is a scalar"));
            };
            if entries.iter().any(|(known, _)| *known == key) {
                return Err(Fault::new(line, format!("the key `{key}` is a duplicate")));
            }
            let (event, span) = self.next()?;
            entries.push((key, self.node(event, &span)?));
        }
    }
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
        assert_eq!(on.get("push").unwrap().items().len(), 0);
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
    fn what_is_broken_or_has_to_be_resolved_is_a_fault_with_its_line() {
        for (text, line) in [
            ("", 1),
            ("a: &x 1\n", 1),
            ("b: 1\na: *x\n", 2),
            ("a: !!str 1\n", 1),
            ("a: b: c\n", 1),
            ("a: 1\na: 2\n", 2),
            ("a: 1\n---\nb: 2\n", 3),
            ("[a]: 1\n", 1),
        ] {
            assert_eq!(parse(text).unwrap_err().line, line, "{text:?}");
        }
        for text in ["a: 1\n\tb: 2\n", "a: \"b\n", "a:\n  b: 1\n c: 2\n", "a: [b\n", "a: 1\njust words\n"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
