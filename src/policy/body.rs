//! Request bodies: how large, and how much of one is held back before the upstream sees it.

/// The most bytes of one request body that are held in memory before it is passed on (request buffering).
pub const MAX_BUFFERED: usize = 1 << 20;

/// Whether a declared length is over the limit; an undeclared one is counted while it arrives.
pub fn too_large(limit: Option<u64>, declared: Option<u64>) -> bool {
    matches!((limit, declared), (Some(limit), Some(length)) if length > limit)
}

#[cfg(test)]
mod tests {
    use super::too_large;

    #[test]
    fn limits() {
        assert!(!too_large(None, Some(u64::MAX)));
        assert!(!too_large(Some(10), Some(10)));
        assert!(too_large(Some(10), Some(11)));
        assert!(!too_large(Some(10), None));
    }
}
