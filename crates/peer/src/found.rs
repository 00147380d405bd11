//! Contents of a file as text, for comparing readers that are written in different languages: results are compared line
//! by line.
//!
//! Integers are decimal, floating-point numbers are the bits of an f64, strings and data are hashes.

/// FNV-1a of 64 bits, as 16 hexadecimal digits.
pub fn hash(bytes: &[u8]) -> String {
    format!("{:016x}", op::fnv1a(bytes))
}

/// Dimensions of a tensor without trailing ones, which some readers drop and others add.
pub fn dims(dims: &[u64]) -> String {
    let n = dims.iter().rposition(|&dim| dim != 1).map_or(0, |last| last + 1);
    dims[..n].iter().map(u64::to_string).collect::<Vec<_>>().join(",")
}

/// The bits of a floating-point number as f64, so that f32 and f64 readers give the same text.
pub fn float(x: impl Into<f64>) -> String {
    format!("{:016x}", x.into().to_bits())
}

/// An array: its length and one hash over the texts of its elements.
pub fn array(elements: &[String]) -> String {
    format!("{} {}", elements.len(), hash(elements.join("\n").as_bytes()))
}

/// The sorted lines of a file under its number; the order does not depend on the reader.
pub fn lines(file: usize, mut lines: Vec<String>) -> String {
    lines.sort_unstable();
    format!("F\t{file}\n{}", lines.concat())
}

/// Lists of numbers, such as the tokens of texts: one a line, behind its own number.
pub fn numbered<N: ToString>(lists: &[Vec<N>]) -> String {
    let list = |list: &Vec<N>| list.iter().map(N::to_string).collect::<Vec<_>>().join(",");
    lists.iter().enumerate().map(|(nth, numbers)| format!("{nth}\t{}\n", list(numbers))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_equal_those_of_the_other_languages() {
        // Published values of FNV-1a.
        assert_eq!(hash(b""), "cbf29ce484222325");
        assert_eq!(hash(b"foobar"), "85944171f73967e8");
        assert_eq!((dims(&[5, 1, 2, 1, 1]).as_str(), dims(&[1]).as_str(), dims(&[0]).as_str()), ("5,1,2", "", "0"));
        assert_eq!((float(-2.0_f32), float(-2.0)), ("c000000000000000".to_owned(), "c000000000000000".to_owned()));
        assert_eq!(array(&["foo".to_owned(), "bar".to_owned()]), format!("2 {}", hash(b"foo\nbar")));
        assert_eq!(numbered(&[vec![5, 6], vec![]]), "0\t5,6\n1\t\n");
        assert_eq!(lines(1, vec!["b\n".to_owned(), "a\n".to_owned()]), "F\t1\na\nb\n");
    }
}
