//! The names that the API server takes (RFC 1123, as apimachinery's `validation` reads it).

/// Which names a kind may have.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    /// Up to 63 characters: letters, digits and hyphens.
    Label,
    /// Labels joined by dots, up to 253 characters.
    Subdomain,
}

impl Rule {
    /// `Err` is the reason in plain words.
    pub fn check(self, name: &str) -> Result<(), String> {
        let (fits, limit, allowed) = match self {
            Rule::Label => (is_label(name), 63, "'-'"),
            Rule::Subdomain => (name.split('.').all(is_label), 253, "'-' and '.'"),
        };
        if name.is_empty() {
            Err("is required".into())
        } else if name.len() > limit {
            Err(format!("longer than {limit} characters"))
        } else if !fits {
            Err(format!(
                "{name:?} is no DNS-1123 name: lower-case letters, digits and {allowed}, with a letter or digit at each end"
            ))
        } else {
            Ok(())
        }
    }
}

/// Length is checked for the whole name only: apimachinery's subdomains have no limit for a label.
fn is_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = [label.bytes().next(), label.bytes().next_back()];
    ends.into_iter().all(|end| end.is_some_and(inner)) && label.bytes().all(|byte| inner(byte) || byte == b'-')
}
