//! What somebody probably meant by a word that is not known.

/// Edits that a slip of the hand has at most.
const MAX_EDITS: usize = 3;

/// The known word that is nearest to `word`, at most three edits away; the first of equals.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.map(|known| (edit_distance(word, known), known)).filter(|(distance, _)| *distance <= MAX_EDITS);
    near.min_by_key(|(distance, _)| *distance).map(|(_, known)| known)
}

/// Levenshtein distance in characters.
fn edit_distance(a: &str, b: &str) -> usize {
    // `above` holds the row before: the distances from a's prefix to each prefix of b.
    let mut above: Vec<usize> = (0..=b.chars().count()).collect();
    for (row, from) in a.chars().enumerate() {
        let mut left = row + 1;
        let mut current = vec![left];
        for (pair, to) in above.windows(2).zip(b.chars()) {
            let &[diagonal, up] = pair else { continue };
            left = (diagonal + usize::from(from != to)).min(up + 1).min(left + 1);
            current.push(left);
        }
        above = current;
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edit_distances() {
        let rows = [("", "", 0), ("abc", "abc", 0), ("abc", "", 3), ("", "ab", 2), ("kitten", "sitting", 3)];
        for (a, b, expected) in rows {
            assert_eq!(edit_distance(a, b), expected, "{a:?} {b:?}");
        }
    }

    #[test]
    fn what_was_meant() {
        let rows =
            [("http-prot", Some("http-port")), ("https-pot", Some("https-port")), ("something-else-entirely", None)];
        for (word, expected) in rows {
            assert_eq!(nearest(word, ["http-port", "https-port"].into_iter()), expected, "{word:?}");
        }
    }
}
