//! Tuning choices: which variant of a kernel a tuner found best, for a class of shapes.

use std::{collections::BTreeMap, str::FromStr};

use crate::{
    cache::{Cache, Stored},
    digest::Digest,
    entry::Layer,
    key::Key,
    reject::Reject,
    wire::{Reader, put_text},
};

/// Choices in one file; more are a tuner's mistake.
const MOST_CHOICES: usize = 1 << 14;
/// Bytes of one text.
const MOST_TEXT: usize = 1 << 10;

/// What a tuner decides: one question has one answer, the name of a variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'a> {
    /// The op and its types, `gemm/f16`.
    pub op: &'a str,
    /// The class of shapes, `m4096-n4096-k4096` or `m1-n10240-k2560`.
    pub class: &'a str,
    /// Of the names of all variants among which it chooses. With other variants, an older answer counts no more.
    pub candidates: Digest,
}

/// The answers of a device, in memory; loaded from a [`Cache`] and saved to it as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Choices {
    answers: BTreeMap<(String, String), Answer>,
    is_changed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    candidates: Digest,
    variant: String,
}

impl Choices {
    /// What is kept for this key; nothing if there is no file or it cannot be read.
    pub fn load(cache: &Cache, key: &Key) -> Self {
        let Some(payload) = cache.load(Layer::TuningChoices, key) else { return Self::default() };
        let Some(answers) = decode(&payload) else {
            cache.reject(Layer::TuningChoices, key, &Reject::Payload);
            return Self::default();
        };
        Self { answers, is_changed: false }
    }

    /// The number of answers.
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether there is no answer.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// The variant that was chosen among these candidates. `None` if there is none, or its name means nothing to `T`.
    pub fn get<T: FromStr>(&self, question: Question<'_>) -> Option<T> {
        let answer = self.answers.get(&(question.op.to_owned(), question.class.to_owned()))?;
        (answer.candidates == question.candidates).then(|| answer.variant.parse().ok()).flatten()
    }

    /// Notes an answer. One that is too long to be kept, or over the number of choices, is not.
    pub fn set(&mut self, question: Question<'_>, variant: &impl ToString) {
        let at = (question.op.to_owned(), question.class.to_owned());
        let answer = Answer { candidates: question.candidates, variant: variant.to_string() };
        let is_short = [&at.0, &at.1, &answer.variant].iter().all(|text| text.len() <= MOST_TEXT);
        let has_room = self.answers.contains_key(&at) || self.answers.len() < MOST_CHOICES;
        if is_short && has_room && self.answers.get(&at) != Some(&answer) {
            self.answers.insert(at, answer);
            self.is_changed = true;
        }
    }

    /// Writes all answers, together with those that another process has written since. Where both answered the same
    /// question, the answer here counts.
    pub fn save(&mut self, cache: &Cache, key: &Key) -> Stored {
        if !self.is_changed {
            return Stored::Nothing;
        }
        let stored = cache.update(Layer::TuningChoices, key, |there| {
            for (at, answer) in there.and_then(decode).unwrap_or_default() {
                if self.answers.len() < MOST_CHOICES {
                    self.answers.entry(at).or_insert(answer);
                }
            }
            encode(&self.answers)
        });
        self.is_changed = !matches!(stored, Stored::Written { .. } | Stored::Unchanged);
        stored
    }
}

/// The number of answers, then of each the op, the class, the digest of the candidates and the variant.
fn encode(answers: &BTreeMap<(String, String), Answer>) -> Vec<u8> {
    let mut bytes = (answers.len() as u32).to_le_bytes().to_vec();
    for ((op, class), answer) in answers {
        put_text(&mut bytes, op);
        put_text(&mut bytes, class);
        bytes.extend(answer.candidates.bytes());
        put_text(&mut bytes, &answer.variant);
    }
    bytes
}

fn decode(bytes: &[u8]) -> Option<BTreeMap<(String, String), Answer>> {
    let mut reader = Reader(bytes);
    let count = reader.u32()? as usize;
    if count > MOST_CHOICES {
        return None;
    }
    let text = |reader: &mut Reader<'_>| reader.text().filter(|text| text.len() <= MOST_TEXT).map(str::to_owned);
    let mut answers = BTreeMap::new();
    for _ in 0..count {
        let at = (text(&mut reader)?, text(&mut reader)?);
        let candidates = Digest::from_bytes(reader.array()?);
        let answer = Answer { candidates, variant: text(&mut reader)? };
        if answers.insert(at, answer).is_some() {
            return None;
        }
    }
    reader.0.is_empty().then_some(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(class: &str) -> Question<'_> {
        Question { op: "gemm/f16", class, candidates: Digest::of_texts(["tile64", "tile128"]) }
    }

    fn some() -> Choices {
        let mut choices = Choices::default();
        choices.set(question("m1"), &"tile64");
        choices.set(question("m4096"), &128);
        choices
    }

    #[test]
    fn answers_are_typed_and_of_their_candidates() {
        let choices = some();
        assert_eq!(choices.get::<String>(question("m1")), Some("tile64".to_owned()));
        assert_eq!((choices.get::<u32>(question("m4096")), choices.get::<u32>(question("m1"))), (Some(128), None));
        assert_eq!(choices.get::<String>(question("m2")), None);
        let other = Question { candidates: Digest::of_texts(["tile64"]), ..question("m1") };
        assert_eq!(choices.get::<String>(other), None);
        let mut choices = choices;
        choices.set(other, &"tile64");
        assert_eq!((choices.len(), choices.get::<String>(question("m1"))), (2, None), "the newer answer counts");
        choices.set(question(&"m".repeat(MOST_TEXT + 1)), &1);
        assert_eq!(choices.len(), 2);
    }

    #[test]
    fn answers_come_back_and_damage_is_found() {
        let choices = some();
        let bytes = encode(&choices.answers);
        assert_eq!(decode(&bytes), Some(choices.answers));
        for length in 0..bytes.len() {
            assert_eq!(decode(&bytes[..length]), None, "{length} bytes");
        }
        assert_eq!(decode(&[&bytes[..], b"x"].concat()), None);
        assert_eq!(decode(&u32::MAX.to_le_bytes()), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_are_a_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300), keep in 0..90_usize) {
            let right = encode(&some().answers);
            decode(&bytes);
            decode(&[&right[..keep.min(right.len())], &bytes[..]].concat());
        }
    }
}
