//! Cipher suites of rustls by OpenSSL's names, and OpenSSL's language for lists of them (openssl-ciphers(1)).

/// A cipher suite: OpenSSL's name, IANA's number, whether it is one of TLS 1.3, and the words that choose it.
#[derive(Clone, Copy, Debug)]
pub struct Cipher {
    pub name: &'static str,
    pub number: u16,
    pub tls13: bool,
    words: &'static [&'static str],
}

const fn tls13(name: &'static str, number: u16) -> Cipher {
    Cipher { name, number, tls13: true, words: &[] }
}

const fn tls12(name: &'static str, number: u16, words: &'static [&'static str]) -> Cipher {
    Cipher { name, number, tls13: false, words }
}

/// The suites there are, in the order we prefer: AES-128-GCM first, whose SHA-256 transcript has hardware help where
/// SHA-384 has none.
pub const CIPHERS: &[Cipher] = &[
    tls13("TLS_AES_128_GCM_SHA256", 0x1301),
    tls13("TLS_AES_256_GCM_SHA384", 0x1302),
    tls13("TLS_CHACHA20_POLY1305_SHA256", 0x1303),
    tls12("ECDHE-ECDSA-AES128-GCM-SHA256", 0xc02b, &["ECDSA", "aECDSA", "AESGCM", "AES128", "AES", "SHA256"]),
    tls12("ECDHE-RSA-AES128-GCM-SHA256", 0xc02f, &["aRSA", "AESGCM", "AES128", "AES", "SHA256"]),
    tls12("ECDHE-ECDSA-AES256-GCM-SHA384", 0xc02c, &["ECDSA", "aECDSA", "AESGCM", "AES256", "AES", "SHA384"]),
    tls12("ECDHE-RSA-AES256-GCM-SHA384", 0xc030, &["aRSA", "AESGCM", "AES256", "AES", "SHA384"]),
    tls12("ECDHE-ECDSA-CHACHA20-POLY1305", 0xcca9, &["ECDSA", "aECDSA", "CHACHA20", "SHA256"]),
    tls12("ECDHE-RSA-CHACHA20-POLY1305", 0xcca8, &["aRSA", "CHACHA20", "SHA256"]),
];

/// Words for all of them: they are authenticated, ephemeral, strong and of TLS 1.2.
const OF_ALL: &[&str] =
    &["ALL", "DEFAULT", "COMPLEMENTOFDEFAULT", "HIGH", "ECDHE", "EECDH", "kECDHE", "kEECDH", "TLSv1.2"];

/// OpenSSL's name of a suite's number.
pub fn name(number: u16) -> Option<&'static str> {
    CIPHERS.iter().find(|cipher| cipher.number == number).map(|cipher| cipher.name)
}

/// All suites of TLS 1.2.
pub fn all() -> impl Iterator<Item = u16> {
    CIPHERS.iter().filter(|cipher| !cipher.tls13).map(|cipher| cipher.number)
}

/// A list as it was understood.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CipherList {
    /// Suites of TLS 1.2, the preferred first.
    pub numbers: Vec<u16>,
    /// What was asked for and is not there.
    pub unknown: Vec<String>,
}

impl CipherList {
    /// Reads OpenSSL's list: names and words, `+` between words that must all hold, `!`, `-` and `+` before them.
    pub fn parse(text: &str) -> Self {
        let mut list = Self::default();
        let mut banned: Vec<u16> = Vec::new();
        for item in text.split([':', ',', ' ', '\n']).map(str::trim).filter(|item| !item.is_empty()) {
            let (sign, term) = match item.strip_prefix(['!', '-', '+']) {
                Some(term) => (item.as_bytes().first().copied(), term),
                None => (None, item),
            };
            let chosen: Vec<u16> =
                CIPHERS.iter().filter(|c| !c.tls13 && is_chosen(c, term)).map(|c| c.number).collect();
            match sign {
                None if chosen.is_empty() => list.note(item),
                None => list.numbers.extend(chosen.iter().filter(|n| !banned.contains(n))),
                Some(b'+') => list.numbers.sort_by_key(|n| chosen.contains(n)),
                Some(sign) => {
                    list.numbers.retain(|n| !chosen.contains(n));
                    banned.extend(chosen.into_iter().filter(|_| sign == b'!'));
                }
            }
            let mut seen = Vec::new();
            list.numbers.retain(|n| {
                !seen.contains(n) && {
                    seen.push(*n);
                    true
                }
            });
        }
        list
    }

    /// Suites of TLS 1.3 are not chosen here, `@STRENGTH` and the like ask for nothing.
    fn note(&mut self, item: &str) {
        if !item.starts_with('@') && !CIPHERS.iter().any(|cipher| cipher.name == item) {
            self.unknown.push(item.to_owned());
        }
    }
}

fn is_chosen(cipher: &Cipher, term: &str) -> bool {
    term == cipher.name || term.split('+').all(|word| OF_ALL.contains(&word) || cipher.words.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let rows = [
            ("ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256", &[0xc030, 0xc02f][..], &[][..]),
            (
                "ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA:DHE-RSA-AES128-GCM-SHA256",
                &[0xc02f],
                &["AES128-SHA", "DHE-RSA-AES128-GCM-SHA256"],
            ),
            ("ECDHE+CHACHA20:ECDHE+AESGCM:!aECDSA", &[0xcca8, 0xc02f, 0xc030], &[]),
            ("ALL:!AES128:!aNULL:-CHACHA20", &[0xc02c, 0xc030], &[]),
            ("!AES128:EECDH+AESGCM", &[0xc02c, 0xc030], &[]),
            ("HIGH:+AES128:@STRENGTH", &[0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc02b, 0xc02f], &[]),
            ("TLS_AES_128_GCM_SHA256", &[], &[]),
            ("RC4:MD5", &[], &["RC4", "MD5"]),
            ("", &[], &[]),
        ];
        for (text, numbers, unknown) in rows {
            let list = CipherList::parse(text);
            assert_eq!(list.numbers, numbers, "{text}");
            assert_eq!(list.unknown, unknown, "{text}");
        }
    }
}
