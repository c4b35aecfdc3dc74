//! Client certificates of a host (`auth-tls-*`): what is asked for, and what follows from what was shown (contract §6, §8, §12).
//!
//! Chains are judged in [`verify`]; a certificate that did not pass there counts nowhere.

pub mod name;
pub mod shown;
pub mod verify;

use std::sync::Arc;

use self::verify::{Authorities, Failure};
use super::regex::Regex;

/// `auth-tls-verify-client`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verify {
    Required,
    Optional,
    /// Certificates of unknown authorities pass, and say so to the upstream.
    OptionalNoCa,
    /// None is asked for.
    Off,
}

/// What becomes of a client without a good certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ErrorPage {
    /// A 302 to this text.
    Redirect(Arc<str>),
    /// The host's own path is served instead.
    Path(Arc<str>),
    /// `@name`: nginx has no such location, which is an answer of 500.
    Nowhere,
}

/// `auth-tls-match-cn`: a regex that is searched in the subject, whatever part of it.
#[derive(Clone, Debug)]
pub struct SubjectPattern {
    text: String,
    regex: Regex,
}

impl SubjectPattern {
    /// Errors say what the regex uses that is unknown.
    pub fn parse(text: &str) -> Result<Self, String> {
        // nginx's `!~` heeds the case.
        Ok(Self { text: text.to_owned(), regex: Regex::of_case(text)? })
    }

    pub fn text(&self) -> &str {
        &self.text
    }
}

impl PartialEq for SubjectPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for SubjectPattern {}

/// How a host treats client certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAuth {
    pub verify: Verify,
    pub authorities: Arc<Authorities>,
    /// Certificates between a client's and an authority.
    pub depth: u32,
    pub subject: Option<SubjectPattern>,
    pub error_page: Option<ErrorPage>,
    /// `ssl-client-cert` is sent to the upstream.
    pub pass: bool,
}

/// What a connection's certificate is worth to one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// None was shown, or none that counts for this host.
    Absent,
    Verified,
    Failed(Failure),
}

impl Verdict {
    /// nginx's `$ssl_client_verify`.
    pub fn text(self) -> String {
        match self {
            Self::Absent => "NONE".to_owned(),
            Self::Verified => "SUCCESS".to_owned(),
            Self::Failed(failure) => format!("FAILED:{}", failure.reason()),
        }
    }
}

/// Whether a request may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Pass,
    /// nginx's 496.
    Missing,
    /// nginx's 495.
    Bad,
}

impl ClientAuth {
    /// Whether the handshake asks for a certificate.
    pub fn asks(&self) -> bool {
        self.verify != Verify::Off
    }

    pub fn decide(&self, verdict: Verdict) -> Decision {
        match (self.verify, verdict) {
            (Verify::Off, _) | (_, Verdict::Verified) => Decision::Pass,
            (Verify::Required, Verdict::Absent) => Decision::Missing,
            (Verify::Optional | Verify::OptionalNoCa, Verdict::Absent) => Decision::Pass,
            (Verify::OptionalNoCa, Verdict::Failed(failure)) if failure.is_untrusted() => Decision::Pass,
            (_, Verdict::Failed(_)) => Decision::Bad,
        }
    }

    /// Whether the subject is one that `auth-tls-match-cn` lets in. Only a verified certificate has one here: what
    /// `optional_no_ca` lets pass could claim any.
    pub fn matches(&self, verdict: Verdict, subject: Option<&str>) -> bool {
        let Some(pattern) = &self.subject else { return true };
        let subject = subject.filter(|_| verdict == Verdict::Verified).unwrap_or_default();
        pattern.regex.is_match(subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth(verify: Verify, subject: Option<&str>) -> ClientAuth {
        let subject = subject.map(|text| SubjectPattern::parse(text).unwrap());
        ClientAuth { verify, authorities: Arc::default(), depth: 1, subject, error_page: None, pass: false }
    }

    #[test]
    fn decisions() {
        let (untrusted, expired) = (Verdict::Failed(Failure::UnknownIssuer), Verdict::Failed(Failure::Expired));
        let rows = [
            (Verify::Required, Verdict::Absent, Decision::Missing),
            (Verify::Required, Verdict::Verified, Decision::Pass),
            (Verify::Required, untrusted, Decision::Bad),
            (Verify::Optional, Verdict::Absent, Decision::Pass),
            (Verify::Optional, Verdict::Verified, Decision::Pass),
            (Verify::Optional, untrusted, Decision::Bad),
            (Verify::OptionalNoCa, Verdict::Absent, Decision::Pass),
            (Verify::OptionalNoCa, untrusted, Decision::Pass),
            (Verify::OptionalNoCa, expired, Decision::Bad),
            (Verify::Off, Verdict::Absent, Decision::Pass),
        ];
        for (verify, verdict, expected) in rows {
            assert_eq!(auth(verify, None).decide(verdict), expected, "{verify:?} {verdict:?}");
        }
    }

    #[test]
    fn subjects() {
        let (good, bad) = (Verdict::Verified, Verdict::Failed(Failure::UnknownIssuer));
        let rows = [
            (None, Verdict::Absent, None, true),
            (Some("CN=(alice|carol)"), good, Some("CN=alice,O=x"), true),
            (Some("CN=(alice|carol)"), good, Some("CN=bob,O=x"), false),
            (Some("CN=alice"), good, Some("CN=ALICE"), false),
            (Some("CN=alice"), bad, Some("CN=alice"), false),
            (Some("CN=alice"), Verdict::Absent, None, false),
        ];
        for (pattern, verdict, subject, expected) in rows {
            let auth = auth(Verify::OptionalNoCa, pattern);
            assert_eq!(auth.matches(verdict, subject), expected, "{pattern:?} {verdict:?} {subject:?}");
        }
    }
}
