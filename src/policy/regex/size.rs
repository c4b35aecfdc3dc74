//! The size of a pattern's automaton, worked out from its parse tree, so that what is too large is never built.

use regex_syntax::hir::{Class, Hir, HirKind};

/// A state without what it points to, in bytes (Thompson's construction as regex-automata has it).
const STATE: usize = 24;
/// One range of bytes of a state that has several.
const RANGE: usize = 8;
/// One branch of an alternation.
const BRANCH: usize = 4;
/// A range of characters beyond ASCII is a sequence of at most four ranges of bytes.
const BYTES_OF_CHARACTER: usize = 4;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    states: usize,
    /// What states point to, in bytes.
    beside: usize,
}

impl Size {
    /// Of the forward automaton; numbers too large for `usize` stay at its end.
    pub fn of(hir: &Hir) -> Self {
        let states = |states| Self { states, beside: 0 };
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => states(1),
            HirKind::Literal(literal) => states(literal.0.len()),
            HirKind::Class(Class::Bytes(class)) => Self { states: 1, beside: RANGE * class.ranges().len() },
            HirKind::Class(Class::Unicode(class)) => {
                let parts = BYTES_OF_CHARACTER * class.ranges().len().max(1);
                Self { states: parts, beside: 2 * RANGE * parts }
            }
            HirKind::Repetition(repetition) => {
                let (least, inner) = (repetition.min as usize, Self::of(&repetition.sub));
                match repetition.max.map(|most| most as usize) {
                    Some(most) => inner.times(most).plus(states(most.saturating_sub(least).saturating_add(1))),
                    None => inner.times(least.max(1)).plus(states(2)),
                }
            }
            HirKind::Capture(capture) => Self::of(&capture.sub).plus(states(2)),
            HirKind::Concat(parts) => parts.iter().map(Self::of).fold(states(1), Self::plus),
            HirKind::Alternation(parts) => {
                let union = Self { states: 2, beside: BRANCH * parts.len() };
                parts.iter().map(Self::of).fold(union, Self::plus)
            }
        }
    }

    pub fn bytes(self) -> usize {
        self.states.saturating_mul(STATE).saturating_add(self.beside)
    }

    /// The bytes in which the states of a search have a place for both ends of each group: of this step, and the next.
    pub fn groups(self, explicit: usize) -> usize {
        let places = explicit.saturating_add(1).saturating_mul(2);
        self.states.saturating_mul(places).saturating_mul(2 * size_of::<usize>())
    }

    fn plus(self, other: Self) -> Self {
        Self { states: self.states.saturating_add(other.states), beside: self.beside.saturating_add(other.beside) }
    }

    fn times(self, count: usize) -> Self {
        Self { states: self.states.saturating_mul(count), beside: self.beside.saturating_mul(count) }
    }
}

#[cfg(test)]
mod tests {
    use regex_automata::nfa::thompson::Compiler;

    use super::super::Parsed;

    #[test]
    fn it_is_about_what_the_automaton_takes() {
        let rows = [
            "/api(/|$)(.*)",
            "/users/([0-9]+)/orders/[0-9a-f]{8}-[0-9a-f]{4}",
            "/p[a-z0-9]{1,500}x",
            "/(a|b|c|[d-f]x){20,}",
            r"/(?u:\w+)/\d{3}",
            "/(?u:[à-ü]){30}",
            "/a{900}",
            "/(one|two|three|four|five|six)/.*",
        ];
        for pattern in rows {
            let parsed = Parsed::new(pattern).unwrap();
            let built = Compiler::new().build_from_hir(&parsed.hir).unwrap();
            let states = built.states().len() * super::STATE;
            assert!(parsed.bytes >= states * 3 / 4, "{pattern}: {} of at least {states}", parsed.bytes);
            let most = 8 * built.memory_usage();
            assert!(parsed.bytes <= most, "{pattern}: {} of at most {most}", parsed.bytes);
        }
    }
}
