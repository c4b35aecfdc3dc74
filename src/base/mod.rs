//! Values without a domain: what any other module may use, and what knows none of them.

pub mod clock;
pub mod diagnostic;
pub mod hostname;
pub mod nearest;
pub mod networks;
pub mod parse;
pub mod path;
