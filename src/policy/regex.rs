//! Regexes of Ingresses and ConfigMaps: read as nginx's PCRE would read them, but in linear time and bounded memory.
//! Without look-around and back-references.

mod scratch;
mod set;
mod size;

use std::borrow::Cow;
use std::cell::RefCell;

use regex_automata::util::captures::{Captures, GroupInfo};
use regex_automata::{Input, PatternID, meta};
use regex_syntax::hir::{Hir, Look};

pub use set::RegexSet;

use scratch::{Id, Scratch};
use size::Size;

/// The largest automaton of one pattern, in bytes: a bound on what one Ingress path can cost, of which an Ingress may
/// have thousands. It is enough for about a thousand repetitions of a class of characters.
const PATTERN_LIMIT: usize = 128 << 10;
/// The most memory in bytes in which a worker looks for the groups of one pattern.
const GROUPS_LIMIT: usize = 2 << 20;
/// What a worker remembers of one automaton's states at most, in bytes, unless very few of them take more.
const STATES_LIMIT: usize = 1 << 20;

thread_local! {
    static SCRATCH: RefCell<Scratch<meta::Cache>> = RefCell::new(Scratch::new(meta::Cache::memory_usage));
}

/// One pattern, with its groups.
#[derive(Clone, Debug)]
pub struct Regex {
    automaton: meta::Regex,
    id: Id,
}

impl Regex {
    /// Reads a pattern without regard to case. Errors say what it uses that is unknown, or that it is too large.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let hir = Parsed::new(pattern)?.hir;
        // The states of a lazy automaton are the only part whose size depends on what is searched.
        let config = meta::Regex::config()
            .nfa_size_limit(Some(4 * PATTERN_LIMIT))
            .hybrid_cache_capacity(STATES_LIMIT)
            .utf8_empty(false);
        let automaton = meta::Regex::builder().configure(config).build_from_hir(&hir).map_err(|e| e.to_string())?;
        Ok(Self { automaton, id: Id::next() })
    }

    /// The same where case matters.
    pub fn of_case(pattern: &str) -> Result<Self, String> {
        Self::new(&format!("(?-i){pattern}"))
    }

    pub fn is_match(&self, text: impl AsRef<[u8]>) -> bool {
        let input = Input::new(text.as_ref()).earliest(true);
        self.scratch(|cache| self.automaton.search_half_with(cache, &input).is_some())
    }

    /// The groups of the first match, if there is one.
    pub fn captures(&self, text: &[u8]) -> Option<Captures> {
        let mut captures = self.automaton.create_captures();
        self.scratch(|cache| self.automaton.search_captures_with(cache, &Input::new(text), &mut captures));
        captures.is_match().then_some(captures)
    }

    /// The number of the group of a name.
    pub fn group_of(&self, name: &str) -> Option<usize> {
        self.groups().to_index(PatternID::ZERO, name)
    }

    pub fn has_names(&self) -> bool {
        self.groups().pattern_names(PatternID::ZERO).flatten().next().is_some()
    }

    fn groups(&self) -> &GroupInfo {
        self.automaton.group_info()
    }

    fn scratch<R>(&self, run: impl FnOnce(&mut meta::Cache) -> R) -> R {
        SCRATCH.with_borrow_mut(|scratch| scratch.with(self.id, || self.automaton.create_cache(), run))
    }
}

/// The size of a pattern's automaton in bytes. Errors are those of [`Regex::new`].
pub fn size(pattern: &str) -> Result<usize, String> {
    Parsed::new(pattern).map(|parsed| parsed.bytes)
}

/// A pattern that is small enough, before anything is built of it.
struct Parsed {
    hir: Hir,
    /// The size of the automaton.
    bytes: usize,
}

impl Parsed {
    fn new(pattern: &str) -> Result<Self, String> {
        let mut syntax = regex_syntax::ParserBuilder::new();
        syntax.case_insensitive(true).unicode(false).utf8(false);
        let hir = syntax.build().parse(&escape_braces(pattern)).map_err(|error| {
            let text = error.to_string();
            text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        })?;
        if hir.properties().look_set().contains_word_unicode() {
            return Err("Unicode word boundaries are not supported".to_owned());
        }
        let size = Size::of(&hir);
        let bytes = size.bytes();
        if bytes > PATTERN_LIMIT {
            return Err(format!("it is too large: its automaton takes more than {} KiB", PATTERN_LIMIT >> 10));
        }
        if size.groups(hir.properties().explicit_captures_len()) > GROUPS_LIMIT {
            return Err("it has too many groups for its size".to_owned());
        }
        Ok(Self { hir, bytes })
    }

    /// Whether it can only match at the start: an alternative such as `^/one|/two` matches anywhere (as in nginx).
    fn is_anchored(&self) -> bool {
        self.hir.properties().look_set_prefix().contains(Look::Start)
    }
}

/// A brace that begins no count is a plain character in PCRE and an error in regex-syntax: `/{id}` is a common path.
fn escape_braces(pattern: &str) -> Cow<'_, str> {
    if !pattern.contains('{') {
        return Cow::Borrowed(pattern);
    }
    let mut out = String::with_capacity(pattern.len() + 2);
    let mut rest = pattern.chars();
    let mut in_class = false;
    while let Some(c) = rest.next() {
        match c {
            // `\p{L}` and `\x{41}` have braces of their own.
            '\\' => {
                out.push(c);
                let escaped = rest.next();
                out.extend(escaped);
                if matches!(escaped, Some('p' | 'P' | 'x')) && rest.as_str().starts_with('{') {
                    out.extend(rest.next());
                }
                continue;
            }
            '[' => in_class = true,
            ']' => in_class = false,
            '{' if !in_class && !begins_count(rest.as_str()) => out.push('\\'),
            _ => {}
        }
        out.push(c);
    }
    Cow::Owned(out)
}

/// Whether what follows a brace makes it a count: `2}`, `2,}` or `2,3}`.
fn begins_count(rest: &str) -> bool {
    let Some((count, _)) = rest.split_once('}') else { return false };
    let (least, most) = count.split_once(',').unwrap_or((count, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    !least.is_empty() && digits(least) && digits(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_are_plain_unless_they_count() {
        let rows = [
            ("/{id}/x", "/{id}/x", true),
            ("/{id}/x", "/7/x", false),
            ("^/a{2}$", "/aa", true),
            ("^/a{2,}$", "/aaa", true),
            ("^/a{1,2}$", "/aaa", false),
            ("^/a{,2}$", "/a{,2}", true),
            ("^/[{}]$", "/{", true),
            (r"^/\{a\}$", "/{a}", true),
            (r"^/\x{41}$", "/a", true),
            ("^/{$", "/{", true),
        ];
        for (pattern, path, expected) in rows {
            assert_eq!(Regex::new(pattern).unwrap().is_match(path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_is_built() {
        let rows = [
            ("/a/[0-9]+".to_owned(), None),
            ("/p([a-z0-9]{1,1000}x)".to_owned(), None),
            ("/p([a-z0-9]{1,4000}x)".to_owned(), Some("more than 128 KiB")),
            ("((a{1000}){1000}){1000}".to_owned(), Some("more than 128 KiB")),
            ("(a)(b)".repeat(20), None),
            ("(a)(b)".repeat(200), Some("too many groups")),
            (r"(?u:\bx)".to_owned(), Some("Unicode word boundaries")),
        ];
        for (pattern, reason) in rows {
            let refused = Regex::new(&pattern).err();
            assert_eq!(refused.is_some(), reason.is_some(), "{pattern} {refused:?}");
            assert!(reason.is_none_or(|reason| refused.unwrap().contains(reason)), "{pattern}");
        }
    }
}
