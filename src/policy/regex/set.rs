//! Patterns in an order, of which the first that matches is wanted: the regex paths of a host.

use std::cell::RefCell;

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::{Anchored, Input, MatchError, MatchKind, PatternSet};
use regex_syntax::hir::Hir;

use super::scratch::{Id, Scratch};
use super::{Parsed, STATES_LIMIT};

/// The largest automaton of several patterns, in bytes.
const PART_LIMIT: usize = 1 << 20;

/// How often a search may forget all states that it made, where it made nearly one for each byte: to make them takes time
/// by their size, so that this bounds the time as well, to some ten milliseconds an automaton.
const FORGETS: usize = 2;
/// A search that meets each state so often goes on.
const BYTES_OF_STATE: usize = 10;

thread_local! {
    static SCRATCH: RefCell<Scratch<Cache>> = RefCell::new(Scratch::new(Cache::memory_usage));
}

/// Patterns that are searched together, without their groups.
#[derive(Debug, Default)]
pub struct RegexSet {
    /// Each has as many patterns as one automaton takes.
    parts: Vec<Part>,
    /// The patterns that cannot be used, by position, with the reason.
    refused: Vec<(usize, String)>,
}

#[derive(Debug)]
struct Part {
    id: Id,
    automaton: DFA,
    /// Every pattern can only match at the start, so that the automaton's own leftmost-first order is that of the list.
    anchored: bool,
    /// The positions of its patterns.
    positions: Vec<usize>,
}

impl RegexSet {
    pub fn new<T: AsRef<str>>(patterns: &[T]) -> Self {
        let mut set = Self::default();
        let mut good = Vec::with_capacity(patterns.len());
        for (position, pattern) in patterns.iter().enumerate() {
            match Parsed::new(pattern.as_ref()) {
                Ok(parsed) => good.push((position, parsed)),
                Err(reason) => set.refused.push((position, reason)),
            }
        }
        let anchored = good.iter().all(|(_, parsed)| parsed.is_anchored());
        let (mut part, mut bytes) = (Vec::new(), 0);
        for (position, parsed) in good {
            bytes += parsed.bytes;
            if bytes > PART_LIMIT && !part.is_empty() {
                set.add(std::mem::take(&mut part), anchored);
                bytes = parsed.bytes;
            }
            part.push((position, parsed.hir));
        }
        set.add(part, anchored);
        set
    }

    /// The patterns that cannot be used, by position, with the reason.
    pub fn refused(&self) -> &[(usize, String)] {
        &self.refused
    }

    /// The position of the first pattern that matches; of none, too, where the search would take too long: what it is
    /// asked for is then served by nobody, and by no later pattern.
    pub fn find(&self, text: &[u8]) -> Option<usize> {
        let found = self.parts.iter().find_map(|part| {
            SCRATCH.with_borrow_mut(|scratch| {
                scratch.with(part.id, || part.automaton.create_cache(), |cache| part.find(text, cache).transpose())
            })
        });
        found.and_then(Result::ok)
    }

    fn add(&mut self, patterns: Vec<(usize, Hir)>, anchored: bool) {
        if patterns.is_empty() {
            return;
        }
        let (positions, trees): (Vec<usize>, Vec<Hir>) = patterns.into_iter().unzip();
        match automaton(&trees, anchored, STATES_LIMIT) {
            Ok(automaton) => self.parts.push(Part { id: Id::next(), automaton, anchored, positions }),
            Err(reason) => self.refused.extend(positions.into_iter().map(|position| (position, reason.clone()))),
        }
    }
}

impl Part {
    /// An error is a search that takes too long.
    fn find(&self, text: &[u8], cache: &mut Cache) -> Result<Option<usize>, MatchError> {
        // Each search has all of its forgetting before it.
        if cache.clear_count() > 0 {
            self.automaton.reset_cache(cache);
        }
        let first = if self.anchored {
            let input = Input::new(text).anchored(Anchored::Yes);
            self.automaton.try_search_fwd(cache, &input)?.map(|found| found.pattern())
        } else {
            let mut set = PatternSet::new(self.positions.len());
            self.automaton.try_which_overlapping_matches(cache, &Input::new(text), &mut set)?;
            set.iter().next()
        };
        Ok(first.and_then(|pattern| self.positions.get(pattern.as_usize())).copied())
    }
}

/// Only the lazy automaton: the other engines of regex-automata have a place for each group of each pattern in each
/// state, which is quadratic in the number of patterns.
/// `states` is what a search remembers at most, in bytes.
fn automaton(trees: &[Hir], anchored: bool, states: usize) -> Result<DFA, String> {
    let config =
        thompson::Config::new().utf8(false).which_captures(WhichCaptures::None).nfa_size_limit(Some(4 * PART_LIMIT));
    let nfa = thompson::Compiler::new().configure(config).build_many_from_hir(trees).map_err(|e| e.to_string())?;
    let kind = if anchored { MatchKind::LeftmostFirst } else { MatchKind::All };
    let config = DFA::config()
        .match_kind(kind)
        .cache_capacity(states)
        .skip_cache_capacity_check(true)
        .minimum_cache_clear_count(Some(FORGETS))
        .minimum_bytes_per_state(Some(BYTES_OF_STATE));
    DFA::builder().configure(config).build_from_nfa(nfa).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_list_wins() {
        let many: Vec<String> = (0..100).map(|n| format!("^/p{n}/[a-z0-9]{{1,500}}x")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        type Row<'a> = (&'a [&'a str], &'a str, Option<usize>);
        let rows: &[Row<'_>] = &[
            (&["^/abc/def", "^/a", "^/"], "/ABC/DEF", Some(0)),
            (&["^/abc/def", "^/a", "^/"], "/abc", Some(1)),
            (&["^/abc/def", "^/a", "^/"], "/b", Some(2)),
            (&["^/a"], "/b/a", None),
            (&["^/x", "^/one|/two", "^/a"], "/a/two", Some(1)),
            (&["^/a(?=b)", "^/a"], "/ab", Some(1)),
            (&many, "/p99/abcx", Some(99)),
            (&many, "/p100/abcx", None),
            (&[], "/", None),
        ];
        for (patterns, path, expected) in rows {
            assert_eq!(RegexSet::new(patterns).find(path.as_bytes()), *expected, "{path} of {}", patterns.len());
        }
        assert!(RegexSet::new(&many).parts.len() > 1, "one automaton has not all of them");
    }

    /// Each byte makes a state that was not there before: time is what memory was filled with, and that is bounded.
    #[test]
    fn a_search_ends_before_it_takes_long() {
        let mut random = 1_u32;
        let text: Vec<u8> = std::iter::once(b'/')
            .chain(std::iter::repeat_with(|| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if random >> 31 == 0 { b'a' } else { b'b' }
            }))
            .take(8_001)
            .collect();
        for (pattern, anchored) in [("^/[ab]*a[ab]{50}x", true), ("^/[ab]*a[ab]{50}x|/c", false)] {
            let trees = [pattern, "^/"].map(|pattern| Parsed::new(pattern).unwrap().hir);
            let automaton = automaton(&trees, anchored, 64 << 10).unwrap();
            let part = Part { id: Id::next(), automaton, anchored, positions: vec![0, 1] };
            let mut cache = part.automaton.create_cache();
            for (length, expected) in [(100, Ok(Some(1))), (8_001, Err(())), (100, Ok(Some(1)))] {
                let found = part.find(text.get(..length).unwrap(), &mut cache);
                assert_eq!(found.map_err(|_| ()), expected, "{pattern} {length}");
                assert!(cache.clear_count() <= FORGETS, "{pattern} {length}: {}", cache.clear_count());
                assert!(cache.memory_usage() <= 128 << 10, "{pattern}: {}", cache.memory_usage());
            }
        }
    }
}
