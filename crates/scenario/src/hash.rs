//! A hash that tells texts and programs apart.

/// FNV-1a of 64 bits as 16 hexadecimal digits. Against accidents, not attackers.
pub fn of(bytes: &[u8]) -> String {
    format!("{:016x}", op::fnv1a(bytes))
}

#[cfg(test)]
mod tests {
    #[test]
    fn published_values() {
        // From the test vectors of Fowler, Noll and Vo.
        assert_eq!(super::of(b""), "cbf29ce484222325");
        assert_eq!(super::of(b"foobar"), "85944171f73967e8");
    }
}
