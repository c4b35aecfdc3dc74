//! The regexes of tables, built once: equal patterns share one automaton, and what the next table asks for again is not
//! built again.

use std::collections::HashMap;
use std::sync::Arc;

use crate::policy::answer::Replacement;
use crate::policy::regex::{self, Regex, RegexSet};

/// What was made of a text, and whether it was asked for since the last [`Regexes::forget_unused`].
#[derive(Debug)]
struct Known<V> {
    value: V,
    used: bool,
}

type Map<K, V> = HashMap<K, Known<V>>;

pub type ReplacementResult = Result<Option<Replacement>, String>;

#[derive(Debug, Default)]
pub struct Regexes {
    sizes: Map<Box<str>, Result<usize, String>>,
    patterns: Map<Box<str>, Result<Regex, String>>,
    sets: Map<Box<[String]>, Arc<RegexSet>>,
    replacements: Map<Box<str>, ReplacementResult>,
    /// How many automata were built so far.
    built: usize,
}

impl Regexes {
    /// The size of a pattern's automaton in bytes, or why it cannot be used.
    pub fn size(&mut self, pattern: &str) -> Result<usize, String> {
        recall(&mut self.sizes, pattern, || regex::size(pattern))
    }

    /// A pattern that does not heed case, or why it cannot be used.
    pub fn pattern(&mut self, pattern: &str) -> Result<Regex, String> {
        let built = &mut self.built;
        recall(&mut self.patterns, pattern, || {
            *built += 1;
            Regex::new(pattern)
        })
    }

    /// The regexes of a host, in their order.
    pub fn set(&mut self, patterns: &[String]) -> Arc<RegexSet> {
        let built = &mut self.built;
        recall(&mut self.sets, patterns, || {
            *built += 1;
            Arc::new(RegexSet::new(patterns))
        })
    }

    /// A replacement that `make` makes of the setting `key` with this text.
    pub fn replacement(
        &mut self,
        key: &str,
        text: &str,
        make: impl FnOnce(&str) -> ReplacementResult,
    ) -> ReplacementResult {
        let built = &mut self.built;
        recall(&mut self.replacements, format!("{key} {text}").as_str(), || {
            *built += 1;
            make(text)
        })
    }

    /// Forgets what was not asked for since the last call.
    pub fn forget_unused(&mut self) {
        self.sizes.retain(|_, known| std::mem::take(&mut known.used));
        self.patterns.retain(|_, known| std::mem::take(&mut known.used));
        self.replacements.retain(|_, known| std::mem::take(&mut known.used));
        self.sets.retain(|_, known| std::mem::take(&mut known.used));
    }

    #[cfg(test)]
    pub fn built(&self) -> usize {
        self.built
    }
}

fn recall<Q, K, V: Clone>(map: &mut Map<K, V>, key: &Q, make: impl FnOnce() -> V) -> V
where
    Q: Eq + std::hash::Hash + ?Sized,
    K: Eq + std::hash::Hash + std::borrow::Borrow<Q> + for<'q> From<&'q Q>,
{
    if let Some(known) = map.get_mut(key) {
        known.used = true;
        return known.value.clone();
    }
    let value = make();
    map.insert(key.into(), Known { value: value.clone(), used: true });
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_again_is_not_built_again() {
        let mut regexes = Regexes::default();
        let host = |last: &str| ["^/a/[0-9]+".to_owned(), last.to_owned()];
        let rows: [(&str, &[&str], usize); 5] = [
            ("the first table", &["^/b", "^/c"], 5),
            ("the same", &["^/b", "^/c"], 5),
            ("one host is another", &["^/b", "^/d"], 6),
            ("one host less", &["^/b"], 6),
            ("it comes back", &["^/b", "^/d"], 7),
        ];
        for (name, hosts, expected) in rows {
            for last in hosts {
                regexes.set(&host(last));
            }
            regexes.pattern("/a/([0-9]+)").unwrap();
            regexes.pattern("/b(?!c)").unwrap_err();
            regexes.replacement("proxy-cookie-path", "~^/a /b", Replacement::path).unwrap();
            regexes.forget_unused();
            assert_eq!(regexes.built(), expected, "{name}");
        }
        regexes.forget_unused();
        regexes.forget_unused();
        assert!(regexes.sets.is_empty() && regexes.patterns.is_empty(), "no table has them");
    }
}
